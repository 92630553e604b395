"""How many machines how many conversations take, from measured service times; see `__main__.py`."""
