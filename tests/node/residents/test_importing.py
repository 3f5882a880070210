"""A household list: all of it or nothing, and each line's trouble by its number."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from node.kernel.ids import new_id
from node.residents import importing, pages
from node.residents.importing import Problem, read_list
from node.residents.model import Resident
from node.residents.refusals import ListUnreadable
from node.residents.rules import Role
from tests.node.commands import linli, make_node
from tests.node.web.client import ClientHouse, house_at

HEADING = "姓名,电话,楼栋,房号,业主,面积,出生年份\n"
GOOD = HEADING + "张三,13900000101,7,7-2-301,是,89.53,1946\n李四,13900000102,7,7-2-301,否,,\n"
BAD = (
    HEADING
    + "张三,13900000101,7,7-2-301,是,89.53,1946\n"
    + ",13900000102,7,7-2-302,否,,\n"
    + "\n"
    + "王五,12,7,7-2-303,也许,,\n"
    + "赵六,13900000101,7,7-2-301,是,90,1950\n"
)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    with house_at(tmp_path, pages.routes) as house:
        house.open_browser(house.resident("Zhao", Role.CLERK))
        yield house


def upload(house: ClientHouse, content: bytes) -> str:
    page = house.client.get("/residents/import").text
    token, form_id = (page.split(f'name="{name}" value="')[1] for name in ("csrf", "form_id"))
    answer = house.client.post(
        "/residents/import",
        data={"csrf": token.partition('"')[0], "form_id": form_id.partition('"')[0]},
        files={"list": ("list.csv", content, "text/csv")},
    )
    return str(answer.text)


def people(house: ClientHouse) -> int:
    with house.database.read() as session:
        return session.scalar(select(func.count()).select_from(Resident)) or 0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_whatever_excel_wrote_is_read(encoding: str) -> None:
    entries, problems = read_list(GOOD.encode(encoding), this_year=2026)
    assert problems == []
    first, second = (entry.said for entry in entries)
    assert (first.name, first.floor_area_dm2, first.birth_year) == (
        "张三",
        8953,
        1946,
    )
    assert (second.is_owner, second.household) == (False, "7-2-301")


def test_each_line_says_what_is_wrong_with_it() -> None:
    _entries, problems = read_list(BAD.encode(), this_year=2026)
    assert sorted(problems) == [
        Problem(2, "phone", "this number stands in the list more than once"),
        Problem(3, "name", "give 1 to 60 characters"),
        Problem(5, "is_owner", "write yes or no"),
        Problem(6, "floor_area", "another owner of this flat says another area"),
        Problem(6, "phone", "this number stands in the list more than once"),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "first line"),
        (b"\xff\xff\xff", "neither"),
        ("姓名,楼栋\n张三,7\n".encode(), "first line"),
        ('姓名,电话\n"张三,13900000101\n'.encode(), "quotation"),
        (b"x" * (importing.BYTES_MAX + 1), "larger"),
    ],
)
def test_what_is_no_list(content: bytes, said: str) -> None:
    with pytest.raises(ListUnreadable, match=said):
        read_list(content, this_year=2026)


def test_the_page_registers_all_or_nobody(house: ClientHouse) -> None:
    before = people(house)
    said = upload(house, BAD.encode())
    assert "Nothing was registered: 4 lines need another look" in said
    assert people(house) == before
    assert "2 residents were registered; 0 were here already" in upload(house, GOOD.encode())
    assert "0 residents were registered; 2 were here already" in upload(house, GOOD.encode())
    assert "registered with other particulars" in upload(house, GOOD.replace("张三", "张").encode())
    assert people(house) == before + 2
    assert upload(house, b"").count("Please choose a file.") == 2


def test_a_list_to_start_from_can_be_taken_over(house: ClientHouse) -> None:
    example = house.client.get("/residents/import/example.csv")
    assert "1 residents were registered" in upload(house, example.content)


def test_somebody_who_came_in_between_undoes_all(house: ClientHouse) -> None:
    entries, _ = read_list(GOOD.encode(), this_year=2026)
    house.post_form("/residents/new", page="/residents/new", name="李", phone="13900000102")
    before = people(house)
    with pytest.raises(Exception, match="1 lines"):
        house.database.do(
            lambda session: importing.take_over(
                session,
                house.clock,
                import_id=new_id(),
                entries=entries,
                credit_limit_minutes=300,
            )
        )
    assert people(house) == before


def test_the_command_says_the_same(tmp_path: Path) -> None:
    directory = make_node(tmp_path / "plum")
    (tmp_path / "bad.csv").write_text(BAD, encoding="utf-8")
    (tmp_path / "good.csv").write_text(GOOD, encoding="gb18030")
    refused = linli("node", "import-residents", directory, tmp_path / "bad.csv")
    assert refused.status == 2
    assert "line 3, name: give 1 to 60 characters" in refused.said
    assert "4 lines of the list need another look. Nothing was registered." in refused.said
    done = linli("node", "import-residents", directory, tmp_path / "good.csv", "--json")
    assert (done.status, done.json) == (0, {"registered": 2, "known": 0})
    assert linli("node", "import-residents", directory, tmp_path / "none.csv").status == 2
