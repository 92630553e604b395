"""What a customer may like next: chosen by what was bought, and told with the facts it rests on."""
