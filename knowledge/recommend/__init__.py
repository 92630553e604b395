"""What a customer may want next: the goods' statistics, their texts' vectors, and a ranker."""
