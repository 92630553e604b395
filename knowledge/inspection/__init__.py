"""What an operator should know about documents before they are published."""
