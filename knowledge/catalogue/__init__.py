"""The shop's products: what they are, what customers ask of them, and how they are found."""
