"""A little shop, whose products tests look for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROWS: list[dict[str, Any]] = [
    {"id": "J1", "title": "Harbour waxed jacket", "category": "Clothing > Jackets", "brand": "Orlo",
     "price": 129, "currency": "GBP", "stock": {"M": 3, "L": 0}, "colour": "navy",
     "attributes": {"material": "waxed cotton"}, "description": "Keeps off drizzle and wind."},
    {"id": "J1b", "title": "Harbour waxed jacket", "category": "Clothing > Jackets", "brand": "Orlo",
     "price": 129, "currency": "GBP", "stock": {"M": 2, "L": 5}, "colour": "black",
     "attributes": {"material": "waxed cotton"}, "description": "Keeps off drizzle and wind."},
    {"id": "J2", "title": "Ribble rain shell", "category": "Clothing > Jackets", "brand": "Tamarack",
     "price": 89, "currency": "GBP", "stock": {"M": 4, "L": 4}, "colour": "slate",
     "attributes": {"waterproof": "15 000 mm"}, "description": "All seams are taped, and the hood turns."},
    {"id": "J3", "title": "Corduroy overshirt", "category": "Clothing > Jackets", "brand": "Orlo",
     "price": 34, "currency": "GBP", "stock": 9, "colour": "teal",
     "description": "Warm and without a hood. Not waterproof."},
    {"id": "S1", "title": "Tempo running shoes", "category": "Shoes > Running shoes",
     "price": 95, "currency": "GBP", "stock": 0, "sizes": ["41", "42"], "colour": "coral"},
    {"id": "S2", "title": "Scree trail running shoes", "category": "Shoes > Running shoes",
     "price": 115, "currency": "GBP", "stock": 7, "sizes": ["41", "42", "43"], "colour": "black"},
    {"id": "K1", "title": "Tarn glass kettle", "category": "Kitchen > Kettles", "brand": "Tamarack",
     "price": "49.50", "currency": "GBP", "stock": 12, "description": "Boils 1.7 litres in four minutes."},
    {"id": "L1", "title": "Camp lantern Glow-worm", "category": "Outdoor > Lanterns",
     "price": 25, "currency": "GBP", "description": "Sixty hours of light from one charge."},
    {"id": "J2", "title": "溪谷防雨外套", "category": "服装 > 外套", "price": 819, "currency": "CNY",
     "stock": 8, "colour": "石板灰色", "description": "全压胶，帽子可罩住头盔，防水。", "language": "zh"},
    {"id": "K1", "title": "山湖玻璃电水壶", "category": "厨房 > 水壶", "price": 459, "currency": "CNY",
     "stock": 3, "description": "1.7升，四分钟烧开。", "language": "zh"},
]  # fmt: skip


def write(path: Path, rows: Iterable[Mapping[str, Any]] = ROWS) -> Path:
    """A file of products."""
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
