"""What is right and wrong with an installation, and what repairs it: `python -m assistant doctor`.

It looks and changes nothing. A check is an object with a name that yields findings; `CHECKS` in
`commands.py` lists them.
"""
