"""The demo shop Maplewick: its catalogue, its customers and their orders, all of it invented."""
