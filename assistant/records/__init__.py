"""What the shop knows of its customers and their orders, whatever keeps it."""
