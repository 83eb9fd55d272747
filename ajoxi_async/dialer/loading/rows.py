"""Rows of contacts, as files and programs give them: a line, a phone number, and what belongs to it.

Rules:
1. Every row that is given is counted, and becomes a contact or a rejected row with its line and the reason. Empty lines of a file
   are no rows.
2. A CSV file has a header. Its delimiter is the one of ``, ; tab |`` that the header has most of. A file that begins with a phone
   number has one column and no header.
3. A row of a file with more or fewer fields than the header is refused, since its fields may have moved.
4. Columns that have no meaning here are the contact's variables. Where several have one name, the later ones are called ``name (2)`` and
   so on; columns without a name are left out.
5. A row without consent is refused where a column of consents is named. What the column says otherwise is kept as a variable, for the
   evidence; whether it is a consent that the rules ask for is for the caller to know.
6. A file that ends within quotation marks is refused from there on, since one field may have swallowed any number of rows.
7. Files are read row by row, so that the memory used does not depend on their size.
"""

from __future__ import annotations

import codecs
import csv
import os
import stat
from collections.abc import AsyncIterable, Generator, Iterable, Iterator, Mapping
from itertools import chain, count
from os import PathLike
from pathlib import Path
from typing import Any, Final, TextIO, TypeAlias

from attrs import frozen

from ajoxi_async.dialer.rules.numbers import reader
from ajoxi_async.dialer.rules.texts import shown
from ajoxi_async.protocol.errors import InvalidParameterError

__all__ = ["CsvFile", "Given", "NumberFile", "Row", "from_csv", "given_row"]

#: What may be given for contacts: rows of a file, or numbers and mappings.
Given = Iterable[Any] | AsyncIterable[Any]

_DELIMITERS: Final = ",;\t|"
#: How many characters of the header are looked at for the delimiter, since a file may have no line ends.
_HEAD: Final = 65_536
#: Headers that are taken for the column of numbers if none is named.
_PHONE_HEADERS: Final = ("phone", "phone_number", "phone number", "number", "mobile", "telephone", "tel")
#: Byte order marks. That of UTF-32 begins with one of UTF-16.
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: So many digits in a field of the first line of a do-not-call file are a number, so that the line is no header.
_FEWEST_DIGITS: Final = 7
#: The columns of a mapping that have a meaning; all others are variables.
_KNOWN: Final = frozenset({"phone", "zone", "expires", "key"})


#: What a column of consents says of a contact who has given none.
_NO_CONSENT: Final = frozenset({"", "-", "0", "f", "false", "n", "n/a", "na", "nan", "no", "none", "null", "unknown"})

#: A row that was given: its line in the file, from 1, or its position among rows without a file; the phone number as it was given; the
#: name of its time zone, or nothing; the end of the time in which it may be called; the caller's own id; its variables; and why it
#: cannot be used, if it cannot. A plain tuple, because there are millions.
Row: TypeAlias = tuple[int, Any, Any, Any, Any, Mapping[str, Any] | None, str | None]


@frozen
class CsvFile:
    """A CSV file of contacts; made by `from_csv`.

    Attributes:
        path: of the file.
        phone: the column of the numbers.
        zone: the column of time zones.
        expires: the column of the times after which a contact is not called any more.
        key: the column of the caller's own ids.
        region: the country whose national spellings are read.
        encoding: of the file, unless it begins with a byte order mark.
        delimiter: of the fields; ``None`` to find it out.
        variables: whether the other columns are kept.
        consent: the column that says on what basis a contact may be called.
    """

    path: Path
    phone: str | None
    zone: str | None
    expires: str | None
    key: str | None
    region: str | None
    encoding: str
    delimiter: str | None
    variables: bool
    consent: str | None = None

    @property
    def name(self) -> str:
        """The name of the source in the ledger: the path as it was given."""
        return str(self.path)

    def rows(self) -> Generator[Row, None, None]:
        """The rows of the file, from its beginning.

        Raises:
            InvalidParameterError: the file cannot be read, or not in this way.
        """
        try:
            if stat.S_ISFIFO(self.path.stat().st_mode):
                raise InvalidParameterError(
                    "path", f"{self.path} is a pipe, and a file is read from its beginning twice"
                )
            with self.path.open("rb") as start:
                mark = start.read(4)
            encoding = next((name for sign, name in _MARKS if mark.startswith(sign)), self.encoding)
            with self.path.open(encoding=encoding, newline="") as file:
                yield from self._rows(file)
        except UnicodeEncodeError:
            raise InvalidParameterError("path", f"no file can be called {shown(str(self.path))}") from None
        except UnicodeError:
            raise InvalidParameterError(
                "encoding", f"{self.path} is not encoded in {encoding}: give encoding='cp1252' for instance"
            ) from None
        except LookupError:
            raise InvalidParameterError("encoding", f"Python knows no encoding {self.encoding!r:.80}") from None
        except OSError as error:
            raise InvalidParameterError("path", f"{self.path} cannot be read: {error.strerror or error}") from error

    def _rows(self, file: TextIO) -> Iterator[Row]:
        head = file.readline(_HEAD)
        while head and not head.strip():
            head = file.readline(_HEAD)
        delimiter = self.delimiter or max(_DELIMITERS, key=head.count)
        file.seek(0)
        ended: list[bool] = []
        fields = csv.reader(chain(file, _end(ended)), delimiter=delimiter)
        records = self._records(fields, ended)
        header = next((row for row in records if row), None)
        if header is None:
            return
        # A number in this place is no header, and one that is spelt wrongly is a row that is refused.
        if self.phone is None and len(header) == 1 and _begins_with_digit(header[0]):
            yield fields.line_num, header[0], None, None, None, None, None
            header = ["phone"]
        yield from self._rows_below([name.strip() for name in header], fields, records)

    def _records(self, fields: Any, ended: list[bool]) -> Iterator[list[str]]:
        begun = 1
        try:
            for record in fields:
                if ended:
                    raise csv.Error("the file ends within a field")
                yield record
                begun = fields.line_num + 1
        except csv.Error as error:
            raise InvalidParameterError(
                "path", f"{self.path} is no CSV from line {begun} on ({error}): is a quotation mark left open?"
            ) from None

    def _rows_below(self, header: list[str], fields: Any, records: Iterator[list[str]]) -> Iterator[Row]:
        phone = self._column(header, "phone", self.phone or _usual(header))
        others = [
            None if name is None else self._column(header, param, name)
            for param, name in (("zone", self.zone), ("expires", self.expires), ("key", self.key))
        ]
        rest = _variables(header, {phone, *others}) if self.variables else []
        width = len(header)
        consent = None if self.consent is None else self._column(header, "consent", self.consent)
        if not rest and consent is None and others == [None, None, None]:
            # Only numbers count: the fast road for large files.
            for row in records:
                if len(row) == width:
                    yield fields.line_num, row[phone], None, None, None, None, None
                elif row:
                    yield _misshapen(fields.line_num, row, phone, width)
            return
        zone, expires, key = others
        for row in records:
            if len(row) == width:
                yield (
                    fields.line_num,
                    row[phone],
                    None if zone is None else row[zone],
                    None if expires is None else row[expires],
                    None if key is None else row[key],
                    {name: row[place] for place, name in rest} if rest else None,
                    None
                    if consent is None or _consents(row[consent])
                    else f"no consent in column {header[consent]!r:.80}",
                )
            elif row:
                yield _misshapen(fields.line_num, row, phone, width)

    def _column(self, header: list[str], param: str, name: str | None) -> int:
        if name is None or header.count(name) != 1:
            shown = ", ".join(header)[:400]
            why = f"no column is called {name!r:.80}" if name else "none is called phone or number"
            if name is not None and header.count(name) > 1:
                why = f"{header.count(name)} columns are called {name!r:.80}"
            raise InvalidParameterError(param, f"expected the name of a column of {self.path}, and {why}: {shown}")
        return header.index(name)


def _usual(header: list[str]) -> str | None:
    found = [name for name in header if name.lower() in _PHONE_HEADERS]
    return found[0] if len(found) == 1 else header[0] if len(header) == 1 else None


def _variables(header: list[str], used: set[int | None]) -> list[tuple[int, str]]:
    """The places and names of the columns that are kept as variables (rule 4)."""
    found: dict[str, int] = {}
    for place, name in enumerate(header):
        if place not in used and name:
            free = (f"{name} ({n})" for n in count(2))
            found[name if name not in found else next(one for one in free if one not in {*found, *header})] = place
    return [(place, name) for name, place in found.items()]


def _misshapen(line: int, row: list[str], phone: int, width: int) -> Row:
    shown = row[phone] if phone < len(row) else ""
    return line, shown, None, None, None, None, f"the row has {len(row)} fields, and the header {width}"


def _consents(text: str) -> bool:
    return text.strip().lower() not in _NO_CONSENT


def _begins_with_digit(text: str) -> bool:
    return next((one for one in text if one.isalnum()), "").isdigit()


def _end(ended: list[bool]) -> Iterator[str]:
    """No line, but a note that a reader of lines has come to the end."""
    ended.append(True)
    yield from ()


def from_csv(
    path: str | PathLike[str],
    phone: str | None = None,
    *,
    zone: str | None = None,
    expires: str | None = None,
    key: str | None = None,
    region: str | None = None,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    variables: bool = True,
    consent: str | None = None,
) -> CsvFile:
    """Contacts of a CSV file, for ``campaign.load``.

    Args:
        path: of the file.
        phone: the column of the numbers. It may be left out if there is one column, or one that is called ``phone``, ``number`` or
            ``mobile``.
        zone: the column of the contacts' time zones, by their IANA names; an empty field leaves it to the number.
        expires: the column of the times after which a contact is not called any more, as ``2026-12-24T18:00:00+01:00``.
        key: the column of your own ids, which the report shows.
        region: the country whose national spellings are read, such as ``"US"``; without it a number has to begin with ``+``. Needs
            the extra ``[dialer]``.
        encoding: of the file, unless it begins with a byte order mark.
        delimiter: of the fields; by default the one of ``, ; tab |`` that the header has most of.
        variables: whether the other columns are kept with the contacts.
        consent: the column that says on what basis a contact may be called, such as ``web form 2026-03-01``. A row in which it is empty,
            ``no``, ``false``, ``0``, ``none`` or ``unknown`` is refused.

    Raises:
        InvalidParameterError: a parameter cannot be right. The file is read, and its columns are looked for, when it is loaded.
        ConfigurationError: a region is given, and `phonenumbers` is not installed.
    """
    if not isinstance(path, str | PathLike) or not isinstance(text := os.fspath(path), str) or not text or "\0" in text:
        raise InvalidParameterError("path", f"expected the path of a file, got {type(path).__name__}")
    if delimiter is not None and (not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n'):
        raise InvalidParameterError("delimiter", f"expected one character, got {shown(delimiter)}")
    if not isinstance(encoding, str) or "\0" in encoding:
        raise InvalidParameterError("encoding", f"expected the name of an encoding, got {shown(encoding)}")
    for param, name in (("phone", phone), ("zone", zone), ("expires", expires), ("key", key), ("consent", consent)):
        if name is not None and not isinstance(name, str):
            raise InvalidParameterError(param, f"expected the name of a column, got {shown(name)}")
    if region is not None and not isinstance(region, str):
        raise InvalidParameterError("region", f"expected a country such as 'US', got {shown(region)}")
    if region is not None:
        reader(region)  # raises now if the region or the library is missing
    return CsvFile(Path(text), phone, zone, expires, key, region, encoding, delimiter, variables, consent)


def given_row(one: Any, line: int) -> Row:
    """A row of a program: a number, or a mapping with ``phone`` and perhaps ``zone``, ``expires``, ``key`` and variables."""
    if not isinstance(one, Mapping):
        return line, one, None, None, None, None, None
    if "phone" not in one:
        return line, "", None, None, None, None, "the row has no 'phone'"
    rest = {name: value for name, value in one.items() if name not in _KNOWN}
    return line, one["phone"], one.get("zone"), one.get("expires"), one.get("key"), rest or None, None


@frozen
class NumberFile:
    """A do-not-call file: a number at the beginning of each line; a header, empty lines and lines with ``#`` are no numbers.

    A line with anything else is one that has to be understood, because a number that is left out would be called.

    Attributes:
        path: of the file.
    """

    path: Path

    @property
    def name(self) -> str:
        """The path as it was given."""
        return str(self.path)

    def rows(self) -> Generator[Row, None, None]:
        """The numbers of the file.

        Raises:
            InvalidParameterError: the file cannot be read.
        """
        try:
            with self.path.open(encoding="utf-8-sig") as file:
                for line, text in enumerate(file, 1):
                    fields = [field.strip().strip('"') for field in text.split(_delimiter(text))]
                    number = fields[0]
                    if (
                        any(map(str.isalnum, text))
                        and not number.startswith("#")
                        and not (line == 1 and _is_header(fields))
                    ):
                        yield line, number, None, None, None, None, None
        except UnicodeDecodeError:
            raise InvalidParameterError("do_not_call", f"{self.path} is not encoded in UTF-8") from None
        except (OSError, ValueError) as error:
            raise InvalidParameterError("do_not_call", f"{self.path} cannot be read: {error}") from error


def _delimiter(text: str) -> str:
    return next((sign for sign in _DELIMITERS if sign in text), ",")


def _is_header(fields: list[str]) -> bool:
    """Whether the first line of a do-not-call file names columns: no digit in the first field, and no number in the others."""
    digits = [sum(map(str.isdigit, field)) for field in fields]
    return digits[0] == 0 and max(digits) < _FEWEST_DIGITS
