"""The reader's language: English source strings, one zh.po per slice, read at start.

`from node.web.language import gettext as _`, then `_("Report a repair")`; in templates `_()` is
there already. Which language: `?lang=en` (kept in a cookie), else the cookie, else zh-CN.
"""

from contextvars import ContextVar
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

from babel.dates import format_date, format_datetime
from babel.messages.pofile import read_po

from node.kernel.errors import DomainError

LANGUAGES = ("zh", "en")
LOCALES = {"zh": "zh_Hans_CN", "en": "en"}
HTML_LANG = {"zh": "zh-CN", "en": "en"}
LOCAL_TIME = timezone(timedelta(hours=8), "Asia/Shanghai")  # one zone, no daylight saving

language: ContextVar[str] = ContextVar("language", default="zh")


def load() -> dict[str, str]:
    """Every translated string of every slice, by its English."""
    words: dict[str, str] = {}
    for path in sorted(Path(__file__).parent.parent.glob("*/locale/zh.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale="zh_Hans_CN"):
                if isinstance(message.id, str) and message.id and message.string:
                    words.setdefault(message.id, str(message.string))
    return words


_ZH = load()


def gettext(text: str) -> str:
    """The text in the reader's language; itself where no translation is known."""
    return _ZH.get(text, text) if language.get() == "zh" else text


def ngettext(one: str, many: str, number: int) -> str:
    """`one` or `many`; Chinese has a single form, kept under the plural."""
    is_one = number == 1 and language.get() == "en"
    return one if is_one else gettext(many)


def sentence(refusal: DomainError) -> str:
    """A refusal in the reader's language, its words too where they are known ones."""
    details = {key: gettext(str(value)) for key, value in refusal.details.items()}
    return gettext(refusal.message).format(**details)


def day(moment: date | datetime) -> str:
    """24 November 2026, or 2026年11月24日."""
    local = moment.astimezone(LOCAL_TIME) if isinstance(moment, datetime) else moment
    return format_date(local, "long", locale=LOCALES[language.get()])


def minute(moment: datetime) -> str:
    """The day and the time in this community."""
    pattern = "d MMM y, HH:mm" if language.get() == "en" else "M月d日 HH:mm"
    local = moment.astimezone(LOCAL_TIME)
    return format_datetime(local, pattern, locale=LOCALES[language.get()])
