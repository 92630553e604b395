from knowledge.chunk import chunk_document, length_in_words
from knowledge.segment import split_sentences
from knowledge.types import Document


def document(text: str, language: str = "en") -> Document:
    return Document("doc", "Returns", text, language, "returns.md")


def test_a_chunk_carries_the_titles_above_it():
    text = "# Returns\nIntro.\n## Shoes\nUnworn only.\n### Boots\nNo mud.\n## Tents\nPitch once."
    chunks = chunk_document(document(text), 50, 0)
    assert [c.title_path for c in chunks] == [
        ("Returns",),
        ("Returns", "Shoes"),
        ("Returns", "Shoes", "Boots"),
        ("Returns", "Tents"),
    ]


def test_a_long_section_is_cut_between_sentences_and_overlaps_by_one():
    sentences = [f"Sentence number {i} says something about parcels." for i in range(12)]
    chunks = chunk_document(document(" ".join(sentences)), 30, 1)
    assert len(chunks) > 2
    for chunk in chunks:
        assert length_in_words(chunk.text) <= 30
        assert all(sentence in sentences for sentence in split_sentences(chunk.text))
    for before, after in zip(chunks, chunks[1:], strict=False):
        assert split_sentences(before.text)[-1] == split_sentences(after.text)[0]


def test_sentences_of_a_line_stay_on_it_and_lines_stay_apart():
    (chunk,) = chunk_document(
        document("One rule. Another rule.\n- A list item.\n- Its twin."), 50, 0
    )
    assert chunk.text == "One rule. Another rule.\n- A list item.\n- Its twin."
    (chunk,) = chunk_document(document("第一条。第二条。\n第三条。", "zh"), 50, 0)
    assert chunk.text == "第一条。第二条。\n第三条。"


def test_table_rows_keep_their_header():
    text = "| Country | Fee |\n|---|---|\n| Germany | EUR 4.90 |\n| Austria | EUR 7.90 |"
    (chunk,) = chunk_document(document(text), 50, 0)
    assert chunk.text.splitlines() == [
        "Country: Germany; Fee: EUR 4.90.",
        "Country: Austria; Fee: EUR 7.90.",
    ]


def test_chinese_is_cut_at_its_own_full_stops():
    text = "".join(f"第{i}条规定包裹需要在三天内签收。" for i in range(20))
    chunks = chunk_document(document(text, "zh"), 40, 0)
    assert len(chunks) > 2
    assert all(c.text.endswith("。") for c in chunks)


def test_a_sentence_longer_than_a_chunk_is_still_kept_whole_in_pieces():
    words = [f"word{i}" for i in range(100)]
    chunks = chunk_document(document(" ".join(words)), 30, 1)
    assert [w for c in chunks for w in c.text.split()] == words


def test_an_empty_document_has_no_chunks():
    assert chunk_document(document("# Returns\n\n"), 30, 1) == []


def test_chunk_ids_start_with_the_documents_id():
    assert [c.id for c in chunk_document(document("One.\n## A\nTwo."), 30, 1)] == ["doc#0", "doc#1"]
