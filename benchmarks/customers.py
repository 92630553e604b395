"""Simulated customers of a second shop: whether the orders end as they wanted, and nothing else.

    python -m benchmarks.customers [--trials 4] [--limit N] [FILE ...]

Each task of tau-bench's retail shop (../data/tau_retail: by default the synthetic training tasks
and the dev tasks) names a user and what has to have happened to their orders at the end. The
customer here knows the task's actions, says them one after another in one of several wordings, a
different one in each trial, answers what the assistant asks from what the task says, and agrees to
a proposal that names the right order. No language model plays the customer, so figures with one
(tau-bench: gpt-4o .60, Claude Sonnet 4.5 .86) are another thing.

- `pass^k`: share of tasks whose orders are right in each of k trials (tau-bench, arXiv 2406.12045).
- `violations`: changes of orders that no action of the task asks for.
- `hand-offs`: tasks that ended with a person.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from decimal import Decimal
from math import comb
from pathlib import Path
from typing import Any

from assistant.build import build_assistant, with_store
from assistant.conversations import Conversations, StoredMessage
from assistant.orders.skill import OrderSkill
from assistant.orders.telling import item_line
from assistant.records.sqlite import SqliteRecords
from assistant.records.types import Item
from assistant.service import ChatService
from assistant.settings import OrderSettings, load_settings
from benchmarks.asking import refresh
from benchmarks.passages import data_folder
from benchmarks.tau import AGAIN, NUMBER, Raw, TauShop, address, options, payment
from finetune.reranker_data import read_records

ITEMS = ("item_ids", "new_item_ids")
MOST_TURNS = 14  # for an action
FILES = ("tasks_train_synthetic.jsonl.gz", "tasks_dev.jsonl.gz")
KINDS = {
    "cancel_pending_order": "cancel",
    "return_delivered_order_items": "return",
    "exchange_delivered_order_items": "swap",
    "modify_pending_order_items": "swap",
    "modify_pending_order_address": "address",
    "modify_pending_order_payment": "payment",
}
SAID = {
    "cancel": (
        "I'd like to cancel order {number}.",
        "Please cancel {number}, it is {reason}.",
        "Can you cancel my order {number}?",
        "I don't want order {number} any more",
    ),
    "return": (
        "I want to return something from order {number}.",
        "I'd like to send the {things} of {number} back.",
        "Can you help me return items of {number}?",
        "please return the {things} from my order {number}",
    ),
    "swap": (
        "I want to exchange something in order {number}.",
        "Please exchange the {things} in {number}.",
        "I'd like to swap items of my order {number}",
        "Could you switch the {things} in order {number} for another one?",
    ),
    "address": (
        "I need to change the delivery address of order {number}.",
        "The address of my order {number} is wrong.",
        "please update the address for {number}",
        "I want order {number} to go to a different address",
    ),
    "payment": (
        "I want to change the payment method of order {number}.",
        "Please use another card for order {number}.",
        "can you switch the payment of {number}?",
        "I'd like to use a different payment method for {number}",
    ),
}


class SimulatedCustomer:
    """Wants one action of a task done, and knows all that it takes."""

    def __init__(self, action: Raw, order: Raw, user: Raw, shop: TauShop, trial: int) -> None:
        self.kind, self.wanted = KINDS[action["name"]], action["kwargs"]
        self.order, self.user, self.trial = order, user, trial
        self.items = {item["item_id"]: item for item in order["items"]}
        self.new = dict(
            zip(self.wanted.get("item_ids", ()), self.wanted.get("new_item_ids", ()), strict=False)
        )
        self.products = shop.products

    def opening(self) -> str:
        """How the wish is put."""
        pattern = SAID[self.kind][self.trial % len(SAID[self.kind])]
        things = " and the ".join(self.items[n]["name"] for n in self.wanted.get("item_ids", ()))
        reason = self.wanted.get("reason", "")
        return pattern.format(number=self.order["order_id"], things=things, reason=reason)

    def answer(self, reply: Raw) -> str:
        """What is said to the assistant's question; "" where there is nothing to say."""
        match reply["reason"]:
            case "orders:unidentified" | "orders:several":
                return str(self.order["order_id"])
            case "orders:email":
                return str(self.user["email"])
            case "orders:items":
                lines = [item_line(self._item(name)) for name in self.wanted["item_ids"]]
                return " and ".join(lines)
            case "orders:swaps":
                return self._variant(reply["reply"])
            case "orders:payment":
                method = self.user["payment_methods"].get(self.wanted.get("payment_method_id", ""))
                return payment(method).label if method else ""
            case "orders:reason":
                return str(self.wanted["reason"])
            case "orders:address":
                return address(self.wanted)
            case "orders:confirm":
                return "yes" if self.order["order_id"] in reply["reply"] else "no"
        return ""

    def _item(self, name: str) -> Item:
        held = self.items[name]
        return Item(name, "", held["name"], options(held["options"]), 1, Decimal(0), "")

    def _variant(self, asked: str) -> str:
        """The options of what the item that is asked about shall be."""
        for old, new in self.new.items():
            if f"{item_line(self._item(old))}." in asked:
                variants = self.products[self.items[old]["product_id"]]["variants"]
                return ", ".join(variants[new]["options"].values()) if new in variants else ""
        return ""


def talk(service: ChatService, task: Raw, shop: TauShop, trial: int) -> bool:
    """One task in one conversation; whether it ended with a person."""
    conversation, user = service.start("en"), shop.users[task["user_id"]]
    for action in task["actions"]:
        if action["name"] not in KINDS or action["kwargs"].get("order_id") not in shop.orders:
            continue
        order = shop.orders[action["kwargs"]["order_id"]]
        wants = SimulatedCustomer(action, order, user, shop, trial)
        said = wants.opening()
        for _ in range(MOST_TURNS):
            reply: StoredMessage | None = service.send(conversation.id, said)
            if reply is None or reply.reply is None or reply.reply["outcome"] == "handoff":
                return True
            if not (said := wants.answer(reply.reply | {"reply": reply.text})):
                break
    return False


def is_possible(action: Raw, shop: TauShop) -> bool:
    """Whether the shop does it: its tools refuse what a gift card does not cover, and its policy to
    exchange a thing for itself, which some synthetic tasks ask for."""
    wanted = action["kwargs"]
    if any(a == b for a, b in zip(*(wanted.get(k, ()) for k in ITEMS), strict=False)):
        return False
    order = shop.orders.get(wanted.get("order_id", ""))
    if order is None or "payment_method_id" not in wanted or KINDS[action["name"]] == "return":
        return True
    method = shop.users[order["user_id"]]["payment_methods"][wanted["payment_method_id"]]
    if KINDS[action["name"]] == "payment":
        amount = order["payment_history"][0]["amount"]
    else:
        prices = {item["item_id"]: item["price"] for item in order["items"]}
        products = {item["item_id"]: item["product_id"] for item in order["items"]}
        pairs = zip(wanted["item_ids"], wanted["new_item_ids"], strict=True)
        amount = sum(
            shop.products[products[old]]["variants"][new]["price"] - prices[old]
            for old, new in pairs
        )
    return method["source"] != "gift_card" or method["balance"] >= amount


def expected(task: Raw, shop: TauShop) -> Counter[str]:
    """The changes that a task's actions are, in the form of what is recorded."""
    found: Counter[str] = Counter()
    for action in task["actions"]:
        if not is_possible(action, shop):
            continue
        wanted = action["kwargs"]
        kind = KINDS.get(action["name"], action["name"])
        match kind:
            case "cancel":
                rest: list[Any] = [wanted["reason"]]
            case "return":
                rest = [sorted(wanted["item_ids"]), wanted["payment_method_id"]]
            case "swap":
                pairs = zip(wanted["item_ids"], wanted["new_item_ids"], strict=True)
                rest = [sorted(pairs), wanted["payment_method_id"]]
            case "address":
                rest = [address(wanted)]
            case "payment":
                rest = [wanted["payment_method_id"]]
            case _:
                rest = [sorted(wanted.items())]
        found[json.dumps([kind, wanted.get("order_id"), *rest])] += 1
    return found


def recorded(records: SqliteRecords) -> Counter[str]:
    """The changes that were made, in the same form."""
    found: Counter[str] = Counter()
    for number, change in changes(records):
        match change["kind"]:
            case "cancel":
                rest: list[Any] = [change["reason"]]
            case "return":
                rest = [sorted(map(plain, change["items"])), change["payment"]]
            case "swap":
                pairs = zip(map(plain, change["items"]), change["variants"], strict=True)
                rest = [sorted(pairs), change["payment"]]
            case "address":
                rest = [change["address"]]
            case _:
                rest = [change["payment"]]
        found[json.dumps([change["kind"], number, *rest])] += 1
    return found


def plain(name: str) -> str:
    """The id of an item, without the mark of a second one."""
    return name.split(AGAIN)[0]


def changes(records: SqliteRecords) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Orders' numbers, and what was changed of them."""
    with closing(sqlite3.connect(records.path)) as connection:
        for number, change in connection.execute("SELECT number, change FROM changes"):
            yield number, json.loads(change)


def pass_hat(successes: Sequence[int], trials: int, k: int) -> float:
    """Mean over tasks of the probability that k trials drawn from theirs all succeed."""
    return sum(comb(c, k) / comb(trials, k) for c in successes) / len(successes)


def tasks_of(files: Sequence[Path], limit: int | None) -> list[Raw]:
    """The tasks, at most so many."""
    rows = itertools.chain.from_iterable(read_records(path) for path in files)
    return list(itertools.islice(rows, limit))


def main() -> None:
    """Print shares over all tasks, and which actions fail."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("files", nargs="*", type=Path, help="tasks, JSON Lines")
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--limit", type=int, help="at most so many tasks")
    parser.add_argument("--show", type=int, default=5, help="failures to print")
    arguments = parser.parse_args()
    folder = data_folder() / "data" / "tau_retail"
    shop = TauShop(folder)
    tasks = tasks_of(arguments.files or [folder / name for name in FILES], arguments.limit)
    successes, failed = [0] * len(tasks), Counter[str]()
    violations = handed_off = shown = 0
    with tempfile.TemporaryDirectory() as work:
        home = Path(work)
        (home / "policy.md").write_text((folder / "policy.md").read_text(encoding="utf-8"))
        refresh(home, home / "policy.md")
        store, file = Conversations.in_home(home), home / "records.sqlite"
        shop.records(file, tasks[0]["user_id"])
        orders = OrderSettings(number=NUMBER, most_without_agent=Decimal(10**6))  # type: ignore[call-arg]
        settings = load_settings(home=home, environment={}).model_copy(update={"orders": orders})
        assistant = with_store(build_assistant(settings), store)
        assert isinstance(assistant.skills["orders"], OrderSkill)
        service = ChatService(assistant, store)
        for trial in range(arguments.trials):
            for n, task in enumerate(tasks):
                records = shop.records(file, task["user_id"])
                handed_off += talk(service, task, shop, trial)
                wanted, made = expected(task, shop), recorded(records)
                violations += (made - wanted).total()
                successes[n] += wanted == made
                failed.update({json.loads(one)[0] for one in wanted - made})
                if wanted != made and shown < arguments.show:
                    shown += 1
                    print(
                        "  ", task["id"], "wanted", dict(wanted - made), "made", dict(made - wanted)
                    )
    count = len(tasks) * arguments.trials
    for k in dict.fromkeys((1, arguments.trials)):
        print(f"pass^{k} {pass_hat(successes, arguments.trials, k):.3f}", end="  ")
    print(f"of {len(tasks)} tasks; violations {violations}; hand-offs {handed_off / count:.3f}")
    print("actions that failed", dict(failed))


if __name__ == "__main__":
    main()
