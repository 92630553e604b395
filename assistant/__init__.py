"""The assistant: one turn from a customer's utterance to a verified reply."""
