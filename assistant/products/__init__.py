"""Find products for a customer, and answer what they ask about one."""
