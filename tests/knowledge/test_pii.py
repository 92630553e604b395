"""Masking of personal data."""

from __future__ import annotations

import pytest

from knowledge.pii import Masker, passes_luhn


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("write to Ann.Lee@example.co.uk today", "write to [EMAIL_1] today"),
        ("my card 4111 1111 1111 1111", "my card [CARD_1]"),
        ("order MW-1234567 is late", "order [ORDER_1] is late"),
        ("order mw-1234567?", "order [ORDER_1]?"),
        ("ring +44 20 7946 0958.", "ring [PHONE_1]."),
        ("ring (415) 555-2671", "ring [PHONE_1]"),
        ("ring 001-505-572-9383x94186", "ring [PHONE_1]"),
        ("ring 001-500-522-9149x410", "ring [PHONE_1]"),  # its first thirteen digits pass Luhn
        ("send it to 20697 Carter Rue Apt. 264", "send it to [ADDRESS_1]"),
        ("envíen a C. León Ramis 739", "envíen a [ADDRESS_1]"),
        ("IBAN GB82 WEST 1234 5698 7654 32", "IBAN [IBAN_1]"),
        ("订单MW-7654321，电话13800138000", "订单[ORDER_1]，电话[PHONE_1]"),
    ],
)
def test_each_kind_gets_its_placeholder(text: str, masked: str) -> None:
    assert Masker().mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "delivered on 2026-11-23 at 10:30 for £1,234.50",
        "within 30 days, until 12/05/2026",
        "card 4111 1111 1111 1112 fails the check digit",
        "I take vitamin C. Take 2 of them back?",
        "Zone C. Delivery 2, 4 or 6 days",
        "buy 2 Season passes, 1 gift club box, 3 Spare keys",
        "size 10-12, SKU CL-0001-20, code 123456",
        "",
        "你好，退货要几天？",
    ],
)
def test_dates_amounts_and_codes_stay(text: str) -> None:
    assert Masker().mask(text) == text


def test_a_value_keeps_its_placeholder_throughout_a_dialogue() -> None:
    masker = Masker()
    first = masker.mask("MW-1234567 for ann@example.com")
    assert masker.mask("Ann@Example.com asks about mw-1234567 and MW-7654321") == (
        "[EMAIL_1] asks about [ORDER_1] and [ORDER_2]"
    )
    assert first == "[ORDER_1] for [EMAIL_1]"
    assert masker.counts() == {"ORDER": 2, "EMAIL": 1}


def test_dialogues_do_not_share_placeholders() -> None:
    assert Masker().mask("a@b.com") == Masker().mask("c@d.com") == "[EMAIL_1]"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("My password is hunter2!", "My password is [SECRET_1]!"),
        ("PIN: 4711, thanks", "PIN: [SECRET_1], thanks"),
        ("我的密码是abc123，谢谢", "我的密码是[SECRET_1]，谢谢"),
        ("Mein Passwort lautet Sommer#24.", "Mein Passwort lautet [SECRET_1]."),
        ("use sk_live_4eC39HqLyjWDarjtT1zdp7dc now", "use [SECRET_1] now"),
        ("key AKIAIOSFODNN7EXAMPLE", "key [SECRET_1]"),
        ("My password is not working", "My password is not working"),
        ("Is the pin code needed?", "Is the pin code needed?"),
        ("忘记密码怎么办", "忘记密码怎么办"),
        ("忘了密码：点“忘了密码”，30 分钟内有效", "忘了密码：点“忘了密码”，30 分钟内有效"),
    ],
)
def test_secrets_are_masked_and_talk_about_them_is_not(text: str, masked: str) -> None:
    masker = Masker()
    assert masker.mask(text) == masked
    assert masker.mask(masked) == masked
    assert masker.restore(masked) == text


def test_restoring_undoes_masking_and_leaves_unknown_placeholders() -> None:
    masker = Masker()
    text = "Order MW-1234567, mail a@b.com, card 4111111111111111"
    assert masker.restore(masker.mask(text)) == text
    assert masker.restore("[ORDER_9] and [1]") == "[ORDER_9] and [1]"


def test_masking_twice_changes_nothing() -> None:
    masker = Masker()
    once = masker.mask("Order MW-1234567, ring 020 7946 0958")
    assert masker.mask(once) == once


def test_luhn_accepts_valid_and_rejects_changed_numbers() -> None:
    assert passes_luhn("5500 0000 0000 0004")
    assert not passes_luhn("5500 0000 0000 0005")
