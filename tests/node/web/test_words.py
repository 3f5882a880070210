"""Chinese first: every sentence that a page can show has its translation, and it fits."""

import re

from babel.messages.pofile import read_po

from node.repairs.rules import CATEGORIES
from node.web import language
from tests.node.web.words import ROOT, sentences, untranslated

PLACES = re.compile(r"%\(\w+\)s|\{\w+\}")


def test_every_sentence_is_translated() -> None:
    missing = untranslated()
    assert not missing, "\n".join(f"{place}: {text}" for place, text in missing)


def test_translations_keep_the_places_of_the_figures() -> None:
    words = language.load()
    for place, text in sentences():
        theirs, ours = PLACES.findall(words.get(text, text)), PLACES.findall(text)
        assert set(theirs) <= set(ours), f"{place}: {text}"


def test_codes_that_pages_show_have_chinese_names() -> None:
    words = language.load()
    assert all(words.get(category.name) for category in CATEGORIES.values())


def test_the_reader_chooses() -> None:
    language.language.set("zh")
    assert language.gettext("Home") == "首页"
    language.language.set("en")
    assert language.gettext("Home") == "Home"
    language.language.set("zh")


def test_two_slices_never_translate_the_same_words_differently() -> None:
    found: dict[str, set[str]] = {}
    for path in ROOT.glob("*/locale/zh.po"):
        with path.open("rb") as file:
            for message in read_po(file, locale="zh_Hans_CN"):
                found.setdefault(str(message.id), set()).add(str(message.string))
    differing = {text: words for text, words in found.items() if text and len(words) > 1}
    assert not differing
