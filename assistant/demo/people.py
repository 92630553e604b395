"""Invented customers: names and places that fit the country, addresses that reach nobody."""

import datetime
import random
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from assistant.demo.catalogue import RATES
from assistant.demo.order_history import NOW
from assistant.demo.order_records import Customer, Order, Tier

COUNTRY_WEIGHTS = {
    "GB": 24, "CN": 24, "US": 17, "DE": 9, "FR": 5, "NL": 5, "IE": 4, "AT": 3, "CA": 5,
    "HK": 5, "SG": 4,
}  # fmt: skip
# City and region; rows of remote regions are few because few customers live there.
PLACES = {
    "GB": "Leeds,England;London,England;Bristol,England;Manchester,England;Cardiff,Wales;"
    "Glasgow,Scotland;Inverness,Highlands;Belfast,Northern Ireland",
    "IE": "Dublin,Leinster;Cork,Munster;Galway,Connacht",
    "DE": "Hamburg,Hamburg;Berlin,Berlin;Leipzig,Sachsen;München,Bayern;Köln,Nordrhein-Westfalen",
    "AT": "Wien,Wien;Graz,Steiermark;Innsbruck,Tirol",
    "FR": "Lyon,Auvergne-Rhône-Alpes;Nantes,Pays de la Loire;Lille,Hauts-de-France",
    "NL": "Utrecht,Utrecht;Rotterdam,Zuid-Holland;Groningen,Groningen",
    "US": "Portland,Oregon;Austin,Texas;Chicago,Illinois;Boston,Massachusetts;Atlanta,Georgia;"
    "Denver,Colorado;Sacramento,California;Anchorage,Alaska;Honolulu,Hawaii",
    "CA": "Toronto,Ontario;Montreal,Quebec;Vancouver,British Columbia;Calgary,Alberta",
    "CN": "上海,上海;北京,北京;广州,广东;深圳,广东;杭州,浙江;成都,四川;"
    "武汉,湖北;西安,陕西;青岛,山东;"
    "南京,江苏;乌鲁木齐,新疆;呼和浩特,内蒙古",
    "HK": "Hong Kong,Kowloon;Hong Kong,Hong Kong Island;Hong Kong,New Territories",
    "SG": "Singapore,Singapore",
}
ENGLISH = (
    (
        "Alice Ben Charlotte Daniel Ellie Frank Grace Harry Imogen Jack "
        "Katie Leo Megan Nathan Olivia "
        "Paul Rosie Sam Tess Will Amara Imran Yusuf Priti"
    ),
    (
        "Ashdown Barlow Carrick Denholm Elwood Fairley Garside Hartnell "
        "Ingleby Jessop Kershaw Lomax "
        "Merrick Norwood Okafor Patel Quayle Rigby Stanhope Thackray "
        "Underhill Whitlock Hussain Mensah"
    ),
)
GERMAN = (
    "Anna Bernd Clara Dieter Elif Florian Greta Hannes Ines Jonas Katrin Lukas Mareike Nils Petra",
    (
        "Albers Brandt Dörfler Ebner Friedrichs Gruber Hoffmann Jansen "
        "Krüger Lindner Möller Reiter "
        "Schäfer Thoma Wiesner Yılmaz"
    ),
)
NAMES = {
    "GB": ENGLISH,
    "IE": (
        "Aoife Brendan Ciara Declan Eimear Fergal Niamh Oisin Roisin Sean",
        "Brennan Callaghan Doherty Fallon Geraghty Kinsella Lafferty Moynihan Tierney",
    ),
    "DE": GERMAN,
    "AT": GERMAN,
    "FR": (
        "Amélie Bastien Camille Damien Élodie Fabien Hélène Julien Karima Luc Manon Yanis",
        "Aubert Besson Chevalier Delmas Fontaine Garnier Lemaire Marchand Perrin Rousselle",
    ),
    "NL": (
        "Anouk Bram Daan Eline Femke Gijs Hanneke Joris Lotte Maarten Sanne Thijs",
        "Bakker Dekker Hoekstra Jonker Kuipers Mulder Postma Schouten Veldman Wiersma",
    ),
    "US": (
        (
            "Ashley Brandon Chloe Derek Emma Felicia Gavin Hailey "
            "Isaac Jasmine Kevin Lauren Marcus "
            "Nora Oscar Paige Ramon Sofia Tyler Vanessa"
        ),
        (
            "Alvarez Bennett Coleman Dawson Ellison Foster Greer "
            "Holloway Iverson Jefferson Kowalski "
            "Langley Morales Nakamura Ortiz Prescott Ramsey Sutton Tran Whitaker"
        ),
    ),
    "CA": (
        "Aiden Brielle Connor Danielle Étienne Fiona Gurpreet Hannah Liam Maëlle Noah Simran",
        "Beaulieu Chau Desjardins Fraser Gagnon Hughes MacLeod Pelletier Sandhu Tremblay Wong",
    ),
    "HK": (
        "Wing-Yan Ka-Ming Siu-Fung Hoi-Ching Tsz-Kit Mei-Ling Chi-Wai Yuk-Lan",
        "Chan Cheung Ho Kwok Lam Leung Ng Tsang Wong Yip",
    ),
    "SG": (
        "Wei-Ling Jun-Hao Nurul Hafiz Kavitha Suresh Hui-Min Zhi-Xuan Farah Arjun",
        "Tan Lim Ong Goh Rahman Ismail Nair Pillai Teo Koh",
    ),
}
CHINESE = (
    (
        "晓雯:xiaowen 子轩:zixuan 雨桐:yutong 浩然:haoran 思琪:siqi "
        "建国:jianguo 丽华:lihua 佳宁:jianing "
        "明远:mingyuan 秀英:xiuying 梓涵:zihan 俊杰:junjie 婷婷:tingting "
        "志强:zhiqiang 若曦:ruoxi 天宇:tianyu "
        "静怡:jingyi 文博:wenbo 海燕:haiyan 一凡:yifan"
    ),
    (
        "王:wang 李:li 张:zhang 刘:liu 陈:chen 杨:yang 赵:zhao 黄:huang 周:zhou "
        "吴:wu 徐:xu 孙:sun 胡:hu 朱:zhu "
        "高:gao 林:lin 何:he 郭:guo 马:ma 罗:luo"
    ),
)
ZH_SHARE = {"CN": 0.96, "HK": 0.6, "SG": 0.4}
# Numbers kept free for films, or with a prefix that is never given out.
PHONES = {
    "GB": "+44 7700 900###",
    "IE": "+353 20 913 ####",
    "DE": "+49 30 23125 ###",
    "AT": "+43 0555 0####",
    "FR": "+33 6 39 98 ## ##",
    "NL": "+31 0555 0####",
    "US": "+1 503 555 01##",
    "CA": "+1 604 555 01##",
    "CN": "+86 100 5550 ####",
    "HK": "+852 0555 ####",
    "SG": "+65 0555 ####",
}
BUSINESS_COUNTRIES = {"GB", "IE", "DE", "AT", "FR", "NL", "US", "CN"}
FOUNDED = datetime.date(2014, 5, 5)
# Spent within twelve months, from Silver and from Gold on.
TIER_FROM = {"GBP": (300, 900), "EUR": (350, 1000), "USD": (400, 1200), "CNY": (2500, 8000)}
NOT_SPENT = {"payment_failed", "cancelled", "refunded", "lost"}


def invent_customers(count: int, rng: random.Random) -> list[Customer]:
    """Invent customers C-1001 and up; the tier is none or member, the day of joining still open."""
    taken: Counter[str] = Counter()
    countries = rng.choices(list(COUNTRY_WEIGHTS), list(COUNTRY_WEIGHTS.values()), k=count)
    # The first customers see to it that no country is left out by chance.
    countries[: len(COUNTRY_WEIGHTS)] = COUNTRY_WEIGHTS
    return [_invent(f"C-{1001 + i}", country, taken, rng) for i, country in enumerate(countries)]


def _invent(customer_id: str, country: str, taken: Counter[str], rng: random.Random) -> Customer:
    language: Literal["en", "zh"] = "zh" if rng.random() < ZH_SHARE.get(country, 0.03) else "en"
    first, last, latin = _name(country, language, rng)
    taken[latin] += 1
    address = latin if taken[latin] == 1 else f"{latin}{taken[latin]}"
    city, region = rng.choice(PLACES[country].split(";")).split(",")
    business = country in BUSINESS_COUNTRIES and rng.random() < 0.07
    return Customer(
        id=customer_id,
        name=f"{last}{first}" if language == "zh" else f"{first} {last}",
        first_name=first,
        email=f"{address}@customer.example",
        phone="".join(str(rng.randrange(10)) if c == "#" else c for c in PHONES[country]),
        country=country,
        city=city,
        region=region,
        language=language,
        tier="none" if business or rng.random() < 0.12 else "member",
        business=business,
        joined="",
    )


def _name(country: str, language: str, rng: random.Random) -> tuple[str, str, str]:
    """Draw a first name, a last name and both in plain Latin letters with a dot between."""
    if language == "zh" or country == "CN":
        first, last = (rng.choice(names.split()).split(":") for names in CHINESE)
        latin = f"{first[1]}.{last[1]}"
        if language == "zh":
            return first[0], last[0], latin
        return first[1].title(), last[1].title(), latin
    first_name, last_name = (rng.choice(names.split()) for names in NAMES[country])
    plain = unicodedata.normalize("NFKD", f"{first_name}.{last_name}".replace("ı", "i"))
    return first_name, last_name, plain.encode("ascii", "ignore").decode().lower()


def with_tiers(customers: Sequence[Customer], orders: Sequence[Order]) -> list[Customer]:
    """Raise club members to the tier that their spending of the last twelve months earns."""
    spent: dict[str, float] = {}
    currencies: dict[str, str] = {}
    since = (NOW - datetime.timedelta(365)).isoformat()
    for order in orders:
        currencies[order.customer_id] = order.currency
        if order.placed_at >= since and order.state not in NOT_SPENT:
            goods = order.goods_total - order.discount
            spent[order.customer_id] = spent.get(order.customer_id, 0.0) + goods
    return [
        customer
        if customer.tier == "none"
        else replace(customer, tier=_tier(spent.get(customer.id, 0.0), currencies[customer.id]))
        for customer in customers
    ]


def _tier(spent: float, currency: str) -> Tier:
    if currency not in TIER_FROM:
        spent, currency = spent / RATES[currency], "GBP"
    silver, gold = TIER_FROM[currency]
    return "gold" if spent >= gold else "silver" if spent >= silver else "member"


def joining_day(first_order: str, rng: random.Random) -> str:
    """Draw the day of joining: for many the day of the first order, for others years before."""
    day = datetime.date.fromisoformat(first_order)
    earlier = rng.randint(0, (day - FOUNDED).days) if rng.random() < 0.6 else 0
    return (day - datetime.timedelta(earlier)).isoformat()
