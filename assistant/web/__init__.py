"""The web pages: the customer chat and what it is made of."""
