"""Mask personal data with typed placeholders, and put it back.

By patterns: e-mail addresses, payment cards (Luhn, ISO/IEC 7812-1), IBANs (mod 97, ISO 13616),
order numbers such as MW-1234567, telephone numbers, and secrets: keys of known services, and what
is said to be a password; and address lines of a street with a house number, in English, German,
Spanish and Chinese. Names are not found.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

# Chinese letters are word characters to `\b`, so boundaries are spelled out.
_START, _END = r"(?<![A-Za-z0-9])", r"(?![A-Za-z0-9])"
EMAIL = re.compile(
    r"(?<![\w.+-])[A-Za-z0-9][\w.+-]{0,63}@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}", re.ASCII
)
_IBAN = re.compile(_START + r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?" + _END)
_CARD = re.compile(r"(?<![\d-])\d(?:[ -]?\d){11,18}(?![\d-]*\d)")
_ORDER = re.compile(_START + r"[A-Za-z]{2,3} ?[-–#] ?\d{6,10}" + _END)
_ORDER_PLAIN = re.compile(_START + r"[A-Z]{2} ?\d{7,10}" + _END)
_EXTENSION = r"(?:,? ?(?:x|ext\.?) ?\d{1,6})"
_PHONE = re.compile(
    r"(?<![\w.,/-])(?:"
    r"(?:\+|00)\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d(?:[ .-]?\d){5,12}"  # international
    r"|\(0?\d{2,4}\)[ .-]?\d{3,4}(?:[ .-]?\d{2,4}){1,2}"  # (area) number
    r"|0\d{1,4}[ .-]?\d{3,4}(?:[ .-]?\d{2,4}){1,2}"  # national, with trunk zero
    r"|[2-9]\d{2}[ .-]?[2-9]\d{2}[ .-]?\d{4}"  # North America
    r"|1[3-9]\d[ -]?\d{4}[ -]?\d{4}"  # Chinese mobile
    r")" + _EXTENSION + r"?(?![\d/]|[.,-]\d)",
    re.ASCII,
)
# `\w` before a number would also be a Chinese character: 电话13800138000 must still be found.
_PHONE_AFTER_CJK = re.compile(r"(?<=[\u3400-\u9fff])1[3-9]\d[ -]?\d{4}[ -]?\d{4}(?!\d)")
_NAMED = r"(?:[A-ZÄÖÜÁÉÍÓÚÑ](?:[\w'’-]*|[a-z]{0,2}\.)[ -])"
# Most of the street suffixes of USPS Publication 28, appendix C1, and British ones.
_STREETS_EN = (
    "alley|arcade|avenue|ave|bayou|beach|bend|bluff|bluffs|bottom|boulevard|blvd|branch|bridge"
    "|brook|brooks|burg|bypass|camp|canyon|cape|causeway|center|circle|cir|cliff|cliffs|close"
    "|centers|common|corner|corners|course|court|courts|ct|cove|coves|creek|crescent|crest|crossing"
    "|crossroad|curve|dale|dam|divide|drive|drives|dr|estate|estates|expressway|extension"
    "|extensions|falls|ferry|field|fields|flats|ford|fords|forest|forge|forges|fork|forks|fort"
    "|freeway|garden|gardens|gateway|glen|glens|green|greens|grove|groves|harbor|harbors|haven"
    "|heights|highway|hwy|hill|hills|hollow|inlet|island|islands|isle|junction|junctions"
    "|knoll|knolls|lake|lakes|land|landing|lane|ln|loaf|lodge|loop|mall|manor|manors"
    "|meadow|meadows|mews|mill|mills|mission|motorway|mount|mountain|mountains|neck|orchard|oval"
    "|overpass|park|parks|parkway|pkwy|parkways|passage|path|pike|pine|pines|place|pl|plain|plains"
    "|plaza|point|points|port|ports|prairie|quay|radial|ramp|ranch|rapid|rapids|rest|ridge|ridges"
    "|rise|river|road|roads|rd|route|row|run|shoal|shoals|shore|shores|skyway|spring|springs|spur"
    "|spurs|square|squares|sq|station|stravenue|stream|street|streets|st|summit|terrace|throughway"
    "|trace|track|trafficway|trail|trl|tunnel|turnpike|underpass|union|unions|valley|valleys|via"
    "|viaduct|view|views|village|villages|ville|vista|walk|walks|wall|way|ways|well|wells|wharf"
)
# Of the same list, what is an everyday word too: a street only where it begins with a capital.
_STREETS_EN_CAPITAL = "Burgs|Circles|Club|Fall|Flat|Key|Keys|Light|Lights|Lock|Locks|Pass|Rue"
_STREET_EN = rf"(?:(?i:{_STREETS_EN})|{_STREETS_EN_CAPITAL})"
_UNIT_EN = r"(?:,? (?:apt|apartment|suite|ste|unit|flat|floor|room)\.? ?#?\w{1,5})?"
_ADDRESSES = (
    # 12 Mill Lane, Flat 3; 6750 O'Hara Springs Road Apt. 86
    re.compile(
        _START + rf"(?:(?:flat|unit|studio|apt) \w{{1,4}},? )?\d{{1,5}}[a-z]?,? {_NAMED}{{1,4}}"
        rf"{_STREET_EN}\b\.?(?i:{_UNIT_EN})"
    ),
    # Flat 5, Goodwin Squares
    re.compile(rf"\b(?:Flat|Studio|Unit) \d{{1,4}}[A-Za-z]?,? {_NAMED}{{1,3}}{_STREET_EN}\b"),
    re.compile(r"\b(?:P\.? ?O\.? Box|Postfach|Apartado(?: de correos)?) \d{1,6}", re.IGNORECASE),
    # Lindenstraße 12a, Am Alten Markt 3
    re.compile(
        r"\b(?:(?:[A-ZÄÖÜ][\wäöüß-]*[ -])?[A-ZÄÖÜ][\wäöüß.-]+"
        r"(?i:straße|strasse|str\.|weg|platz|allee|gasse|ring|damm|ufer|stieg|chaussee)"
        r"|(?:Am|An der|An den|Auf der|Auf dem|Im|In der|Zum|Zur|Unter den)"
        r" (?:[A-ZÄÖÜ][\wäöüß-]+ ?){1,3})"
        r" ?\d{1,4}(?:[-/]\d{1,4})? ?[a-z]?\b(?! ?(?:€|Euro|Tage|Stunden|Uhr|%|cm|kg))"
    ),
    # Calle de Alcalá 45, 3º B; after "C." two names, as a sentence may end in C
    re.compile(
        r"\b(?:calle|c/|c\.(?-i:(?= (?:de )?[A-ZÁÉÍÓÚÑ]\w+ (?:de )?[A-ZÁÉÍÓÚÑ]))|avenida|avda\.?"
        r"|plaza|paseo|pasaje|ronda|callejón|camino|cañada|cuesta"
        r"|glorieta|rambla|vía|via|carretera|alameda|acceso|urbanización|vial|pasadizo) ?"
        r"(?:(?:de|del|la|las|los|el) )*"
        r"(?:(?-i:[A-ZÁÉÍÓÚÑ])[\wáéíóúñü'-]*[ -]?(?:(?:de|del|la|los|y) )*){1,5}"
        r",? ?(?:n[.º°]+ ?)?\d{1,4}\b"
        r"(?:,? ?(?:piso|puerta|apt\.?) ?\w{1,3}|,? \d{1,2}[ºª°]? ?[A-Z]?\b)?",
        re.IGNORECASE,
    ),
    # 上海市浦东新区世纪大道100号8楼801室
    re.compile(
        r"(?:[\u4e00-\u9fff]{2,8}?[省市区县州])*[\u4e00-\u9fff]{1,10}?(?:路|街|大道|道|巷|弄|胡同)"
        r"(?:[A-Za-z]座| ?\d{1,5} ?号)(?:[\u4e00-\u9fff]{0,8}?\d{1,4}[号栋幢座楼层室单元]+)*"
    ),
)
# Prefixes as their makers document them: AWS, GitHub, OpenAI and Stripe, Slack, Google, JWT.
_KEY = re.compile(
    _START + r"(?:AKIA[A-Z0-9]{16}|gh[opsu]_[A-Za-z0-9]{30,}"
    r"|(?:sk|pk|rk)[-_](?:live|test|proj)?[-_]?[A-Za-z0-9]{16,}|xox[abprs]-[A-Za-z0-9-]{10,}|AIza[A-Za-z0-9_-]{35}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,})"
)
_PASSWORD = re.compile(
    r"(?:\b(?:password|passcode|passwort|kennwort|contraseña|clave|cvv|cvc|pin)\b|密码|验证码|口令)"
    r"(?: code)?(?:\s*[:：=]\s*|\s+(?:is|was|lautet|ist|es)\s+|\s*(?:是|为)\s*)"
    r"(?P<secret>(?=[^\s,，。;；]*[\d!@#$%^&*_])[^\s,，。;；]{3,64}?)(?=[.,;!?]?(?:\s|$)|[，。；！？])",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(r"\[(?:ADDRESS|EMAIL|IBAN|CARD|ORDER|PHONE|SECRET)_\d+\]")


def passes_luhn(number: str) -> bool:
    """True when the digits end in the right check digit of ISO/IEC 7812-1."""
    digits = [int(c) for c in reversed(number) if c.isdigit()]
    doubled = [sum(divmod(2 * d, 10)) for d in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _is_card(text: str) -> bool:
    digits = sum(c.isdigit() for c in text)
    # Of the cards of twelve digits, Maestro's begin with 5 or 6.
    known = 13 <= digits <= 19 or (digits == 12 and text[0] in "56")
    # No issuer's range begins with 0; telephone numbers with an international prefix do.
    return known and text[0] != "0" and len(set(text)) > 2 and passes_luhn(text)


def _is_iban(text: str) -> bool:
    """Mod-97 check of ISO 13616; letters count from A = 10."""
    compact = text.replace(" ", "")
    return int("".join(str(int(c, 36)) for c in compact[4:] + compact[:4])) % 97 == 1


def _is_phone(text: str) -> bool:
    """Seven to fifteen digits (ITU-T E.164), an extension aside."""
    number = re.sub(_EXTENSION + "$", "", text)
    return 7 <= sum(c.isdigit() for c in number) <= 15


def _always(_: str) -> bool:
    return True


# Order matters: what is longer and surer first, so that a card is not taken for a telephone.
_KINDS: tuple[tuple[str, re.Pattern[str], Callable[[str], bool]], ...] = (
    ("SECRET", _KEY, _always),
    ("SECRET", _PASSWORD, _always),
    ("EMAIL", EMAIL, _always),
    ("IBAN", _IBAN, _is_iban),
    ("CARD", _CARD, _is_card),
    ("ORDER", _ORDER, _always),
    ("ORDER", _ORDER_PLAIN, _always),
    ("PHONE", _PHONE, _is_phone),
    ("PHONE", _PHONE_AFTER_CJK, _is_phone),
    *(("ADDRESS", pattern, _always) for pattern in _ADDRESSES),
)


@dataclass(frozen=True, slots=True)
class _Seen:
    kind: str
    text: str


class Masker:
    """Masks the texts of one dialogue: the same address gets the same placeholder throughout."""

    def __init__(self) -> None:
        self._placeholders: dict[tuple[str, str], str] = {}
        self._originals: dict[str, _Seen] = {}

    def mask(self, text: str) -> str:
        """Text with placeholders such as [EMAIL_1]; a placeholder that is there stays."""
        for kind, pattern, is_real in _KINDS:
            text = pattern.sub(partial(self._masked, kind, is_real), text)
        return text

    def _masked(self, kind: str, is_real: Callable[[str], bool], match: re.Match[str]) -> str:
        """What stands in the place of a match: where a part is named `secret`, of that part."""
        part = "secret" if "secret" in match.re.groupindex else 0
        whole, value = match.group(), match.group(part)
        if not is_real(value) or _PLACEHOLDER.fullmatch(value):
            return whole
        start = match.start(part) - match.start()
        return whole[:start] + self._placeholder(kind, value) + whole[start + len(value) :]

    def restore(self, text: str) -> str:
        """Text with its placeholders replaced by what they stand for; unknown ones stay."""
        return _PLACEHOLDER.sub(
            lambda m: seen.text if (seen := self._originals.get(m.group())) else m.group(), text
        )

    def originals(self) -> list[str]:
        """What was masked, as it was first written."""
        return [seen.text for seen in self._originals.values()]

    def counts(self) -> Counter[str]:
        """How many different values of each kind were masked."""
        return Counter(seen.kind for seen in self._originals.values())

    def _placeholder(self, kind: str, text: str) -> str:
        # MW-1234567 and mw 1234567 are one order; 0044 and +44 one country.
        value = text if kind == "SECRET" else _compact(text)
        if kind == "PHONE":
            value = re.sub(r"^00", "+", value.replace(".", ""))
        found = self._placeholders.get((kind, value))
        if found is None:
            number = 1 + sum(k == kind for k, _ in self._placeholders)
            found = f"[{kind}_{number}]"
            self._placeholders[kind, value] = found
            self._originals[found] = _Seen(kind, text)
        return found


def _compact(text: str) -> str:
    return re.sub(r"[^\w@+.]|(?<!\w)\.", "", text).casefold().replace("–", "")
