import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.language import Detector


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("hello", "en"),
        ("Hello world", "en"),
        ("return policy", "en"),
        ("refund pls", "en"),
        ("退货", "zh"),
        ("怎么退?", "zh"),
        ("iPhone 什么时候到", "zh"),
        ("配送料はいくら", "ja"),
        ("배송비 얼마예요", "ko"),
        ("¿dónde está mi pedido?", "es"),
        ("Rückgabe", "de"),
        ("Wie lange habe ich Zeit?", "de"),
        ("quanto costa la spedizione", "it"),
        ("où est ma commande", "fr"),
        ("где мой заказ", "ru"),
        ("де моє замовлення", "uk"),
        ("أين طلبي من المتجر", "ar"),
        ("سفارش من کجاست", "fa"),
        ("Hol van a csomagom?", "hu"),
        ("আমার অর্ডার কোথায়", "bn"),
        ("என் ஆர்டர் எங்கே", "ta"),
        ("Nasaan na po ang order ko?", "tl"),
    ],
)
def test_short_messages_are_told_apart(detector: Detector, text, language):
    assert detector.detect(text).language == language


@pytest.mark.parametrize(
    "text", ["", "  ", "😀😀", "MW-2048113", "12345", "?!", "\x00", "฿500", "١٢٣٤٥", "؟"]
)
def test_text_without_words_is_an_abstention(detector: Detector, text):
    assert detector.detect(text).language == ""


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("доставка", "ru"),
        ("где заказ Nike Air", "ru"),
        ("سلام", "ar"),
        ("где заказ Samsung Galaxy", "ru"),
    ],
)
def test_a_script_is_told_whatever_was_spoken_before(detector: Detector, text, language):
    assert detector.detect(text, previous="en").language == language
    assert detector.detect(text).language == language


@pytest.mark.parametrize("text", ["ok", "thx", "MW-2048113", "😀"])
def test_unclear_text_keeps_the_conversations_language(detector: Detector, text):
    assert detector.detect(text, previous="zh").language == "zh"


def test_a_clear_change_of_language_is_followed(detector: Detector):
    assert detector.detect("Kann ich die Schuhe zurückgeben?", previous="en").language == "de"


def test_detection_never_changes_its_answer(detector: Detector):
    text = "Lieferung nach Wien retour"
    assert len({detector.detect(text) for _ in range(20)}) == 1


@given(st.text(max_size=200))
def test_any_text_gets_an_answer(detector: Detector, text):
    assert 0 <= detector.detect(text).confidence <= 1
