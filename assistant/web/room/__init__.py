"""The operators' room: panels in a few rooms of one page."""
