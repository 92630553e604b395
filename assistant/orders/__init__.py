"""The customer's own orders: whose they are, what is told of them, and what is changed."""
