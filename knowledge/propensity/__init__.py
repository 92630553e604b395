"""Whether a customer buys again within 30 days, read from what they did before."""
