"""The panels of the accounts, for admins alone: who works here, and the form for somebody new."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from assistant.accounts import Account, AccountError, Accounts
from assistant.roles import ROLES
from assistant.web.auth import Session, Sessions
from assistant.web.room.panel import Detail, Done, Notice
from assistant.web.staff_html import Words, render, staff_texts

ROOM = "users"
_NOTHING: Mapping[str, str] = {"login": "", "name": "", "role": ""}


class UsersPanel:
    """Everybody who has an account, and what can be done with it. Log-ins that come in while the
    room is open do not make it anew: somebody may be choosing a role."""

    name, room = "users", ROOM

    def __init__(self, accounts: Accounts, sessions: Sessions) -> None:
        self.accounts = accounts
        self.sessions = sessions

    def state(self) -> Hashable:
        """See Panel."""
        return tuple((a.id, a.name, a.role, a.must_change, a.disabled) for a in self.accounts.all())

    def render(self, words: Words) -> str:
        """See Panel."""
        return render(
            "users.html",
            words=words,
            accounts=self.accounts.all(),
            open=self.sessions.open_now(),
            roles=ROLES,
        )

    def act(self, detail: Detail, session: Session) -> Done | None:
        """See Panel."""
        words = staff_texts(session.language)
        try:
            match detail:
                case {"act": "users_role", "login": str(login), "role": str(role)}:
                    return self._said("role", self.accounts.change_role(login, role, session.name))
                case {"act": "users_disable", "login": str(login)}:
                    return self._said("disabled", self.accounts.switch(login, False, session.name))
                case {"act": "users_enable", "login": str(login)}:
                    return self._said("enabled", self.accounts.switch(login, True, session.name))
                case {"act": "users_end", "login": str(login)}:
                    account = self.accounts.get(login)
                    self.sessions.end_all(account)
                    self.accounts.store.log(session.name, "user_end", account.login)
                    return Done(Notice("users_ended", account.name), self.render(words))
        except AccountError as error:
            return _refused(error, words)
        return None

    @staticmethod
    def _said(what: str, account: Account) -> Done:
        return Done(Notice(f"users_{what}", account.name))


class UsersNewPanel:
    """The form for somebody new, and a one-time password until it is noted; it never changes by
    itself, for somebody may be writing in it or reading."""

    name, room = "users_new", ROOM

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts
        self._times = 0

    def state(self) -> Hashable:
        """See Panel."""
        return ()

    def render(self, words: Words) -> str:
        """See Panel."""
        return self._html(words)

    def act(self, detail: Detail, session: Session) -> Done | None:
        """See Panel."""
        words = staff_texts(session.language)
        written = {n: t if isinstance(t := detail.get(n), str) else "" for n in _NOTHING}
        try:
            match detail:
                case {"act": "users_add"}:
                    login, name, role = written.values()
                    account, password = self.accounts.add(login, role, session.name, name)
                    html = self._html(words, account, password)
                    return Done(Notice("users_added", account.name), html)
                case {"act": "users_reset", "login": str(login)}:
                    password = self.accounts.reset(login, session.name)
                    account = self.accounts.get(login)
                    html = self._html(words, account, password)
                    return Done(Notice("users_reset", account.name), html)
                case {"act": "users_noted"}:
                    return Done(html=self._html(words))
        except AccountError as error:
            return _refused(error, words)
        return None

    def _html(self, words: Words, account: Account | None = None, password: str = "") -> str:
        # A number that is never the same: the browser keeps a part whose HTML has not changed, and
        # with it what was written into its fields.
        self._times += 1
        return render(
            "users_new.html",
            words=words,
            number=self._times,
            roles=ROLES,
            account=account,
            password=password,
        )


def _refused(error: AccountError, words: Words) -> Done:
    told = words[f"users_problem_{error.problem}"].format(detail=error.detail)
    return Done(Notice("users_refused", told))
