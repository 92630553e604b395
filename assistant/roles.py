"""Who may do what.

| role | what it opens |
|---|---|
| customer | one conversation, and the orders that are theirs |
| agent | the desk and the test bench |
| operator | the operators' rooms |
| admin | all of these, and the accounts |

A customer has no account here, but a conversation's token, and an identity that the shop has
signed (see web/identity.py); nothing else has a value in `Role`.
"""

from __future__ import annotations

from typing import Literal, get_args

Role = Literal["agent", "operator", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)


def may(role: str, needed: Role) -> bool:
    """Whether a role may do what another one is needed for: an admin may do everything."""
    return role in (needed, "admin")
