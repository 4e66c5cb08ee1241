"""Exports are read as they are written; every line is accounted for, with its file, row and column."""

import datetime as dt
from decimal import Decimal

import pytest
from conftest import TODAY, lines_of, open_one
from hypothesis import given, settings
from hypothesis import strategies as st

from rfmkit.errors import ClinicFileError, ExportError

HEAD = "id,date,amount\n"


TEXT = "id;date;amount\n007;31.10.2026;1 234,50\n0042;01.10.2026;-20,5\nКод;02.10.2026;0\n"
READ = [("007", "2026-10-31", Decimal("1234.50")), ("0042", "2026-10-01", Decimal("-20.50")), ("Код", "2026-10-02", 0)]
WRITTEN = 'delimiter = ";"\ndecimal = ","\ndate_format = "%d.%m.%Y"\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1251", "koi8-r", "gb18030"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_declared_encodings(write_clinic, encoding, newline):
    export = TEXT.replace("\n", newline).encode(encoding)
    path = write_clinic(export, transactions=f'encoding = "{encoding}"\n{WRITTEN}')
    assert lines_of(open_one(path)) == READ


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_without_a_declared_encoding_a_mark_or_strict_utf8_decides(write_clinic, encoding):
    assert lines_of(open_one(write_clinic(TEXT.encode(encoding), transactions=WRITTEN))) == READ


@pytest.mark.parametrize("encoding", ["cp1251", "gbk"])
def test_any_other_encoding_is_refused_with_the_line_to_add(write_clinic, encoding):
    path = write_clinic(TEXT.encode(encoding), transactions=WRITTEN)
    with pytest.raises(ClinicFileError, match=r'clinic\.csv:4: is not utf-8 text\. Write .* encoding = "cp1251"'):
        _ = open_one(path).rows


@pytest.mark.parametrize("encoding", ["cp1251", "gb18030", "latin-1"])
def test_a_byte_order_mark_of_utf8_under_another_declared_encoding_is_refused(write_clinic, encoding):
    text = "service,id,date,amount\nЧистка,1,2026-10-01,5\n"
    path = write_clinic(text.encode("utf-8-sig"), transactions=f'encoding = "{encoding}"')
    with pytest.raises(ClinicFileError, match=r'clinic\.csv:1: begins as utf-8 does, .* Write encoding = "utf-8"'):
        _ = open_one(path).rows


def test_utf16_without_a_mark_is_led_to_its_encoding(write_clinic):
    path = write_clinic(TEXT.encode("utf-16-le"), transactions=f'encoding = "utf-16"\n{WRITTEN}')
    with pytest.raises(ClinicFileError, match=r"for example encoding = \"utf-16-le\""):
        _ = open_one(path).rows
    path = write_clinic(TEXT.encode("utf-16-le"), transactions=f'encoding = "utf-16-le"\n{WRITTEN}')
    assert lines_of(open_one(path)) == READ


def test_chinese_text_in_gbk(write_clinic):
    path = write_clinic("id,date,amount\n病人甲,2026-10-01,5\n".encode("gbk"), transactions='encoding = "gbk"')
    assert lines_of(open_one(path)) == [("病人甲", "2026-10-01", Decimal(5))]


@pytest.mark.parametrize("space", [" ", "\u00a0", "\u202f", "\u2009"])
def test_spaces_between_thousands(write_clinic, space):
    path = write_clinic(f"id,date,amount\n1,2026-10-01,1{space}234{space}567.80\n")
    assert lines_of(open_one(path))[0][2] == Decimal("1234567.80")


def test_columns_set_apart_by_spaces_and_without_a_header(tmp_path):
    (tmp_path / "fixed.txt").write_text(" 00004 0001 20261001  2   29.33\r\n 00018 0002 20261002 12 1029.73\r\n")
    (tmp_path / "c.toml").write_text(
        """name = "C"
currency = "USD"
[transactions]
source = "fixed.txt"
delimiter = " "
header = false
date_format = "%Y%m%d"
[transactions.columns]
patient_id = "1"
visit_date = "3"
amount = "5"
"""
    )
    read = lines_of(open_one(tmp_path / "c.toml"))
    assert read == [("00004", "2026-10-01", Decimal("29.33")), ("00018", "2026-10-02", Decimal("1029.73"))]


def test_many_files_with_columns_in_any_order(tmp_path):
    (tmp_path / "2026-09.csv").write_text("id,date,amount\n1,2026-09-01,5\n")
    (tmp_path / "2026-10.csv").write_text("amount,id,note,date\n7,2,hello,2026-10-01\n")
    (tmp_path / "c.toml").write_text(
        'name = "C"\ncurrency = "USD"\n[transactions]\nsource = "2026-*.csv"\n'
        '[transactions.columns]\npatient_id = "id"\nvisit_date = "date"\namount = "amount"\n'
    )
    assert lines_of(open_one(tmp_path / "c.toml")) == [("1", "2026-09-01", 5), ("2", "2026-10-01", 7)]


def many(*faulty: str) -> str:
    """An export in which so few lines are faulty that the run goes on; the first faulty one is in row 2."""
    return HEAD + "\n".join([*faulty, *(f"{n},2026-10-{n % 28 + 1:02},10" for n in range(1, 600))]) + "\n"


FAULTS = {
    "text in an amount": ("1,2026-10-01,free", "«amount»: not a number (4 letters). Write 1234.50 or set decimal"),
    "a decimal comma": ('1,2026-10-01,"12,50"', "«amount»: not a number (5 characters)."),
    "three decimals": ("1,2026-10-01,1.125", "«amount»: more than two decimals. Export amounts rounded to cents."),
    "spaces between any digits": ("1,2026-10-01,12 34", "«amount»: not a number (5 characters)."),
    "scientific notation": ("1,2026-10-01,1e5", "«amount»: not a number (3 characters)."),
    "no number": ("1,2026-10-01,NaN", "«amount»: not a number (3 letters)."),
    "an empty date of 1C": ("1,0001-01-01,5", "«date»: before 1900. Correct the date in the export."),
    "31 February": ("1,2026-02-31,5", "«date»: not a date (10 characters). Write 2026-10-31 or set date_format."),
    "another order of the date": ("1,31.10.2026,5", "«date»: not a date (10 characters)."),
    "a day after today": ("1,2026-11-22,5", "«date»: after today. Correct the date in the export."),
    "an empty amount": ("1,2026-10-01,", "«amount»: empty. Fill it in the export."),
    "an empty date": ("1,,5", "«date»: empty."),
    "a field too many": ("1,2026-10-01,5,6", ": 4 fields where there are 3 headings. Quote cells"),
    "a field too few": ("1,2026-10-01", ": 2 fields where there are 3 headings."),
}


@pytest.mark.parametrize(("line", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_a_faulty_line_is_kept_aside_with_its_place(write_clinic, line, said):
    study = open_one(write_clinic(many(line), transactions='decimal = "."\ndate_format = "%Y-%m-%d"'))
    assert study.rows["rejected"] == 1
    assert study.rows["kept"] == 599
    message = next(str(problem) for problem in study.problems if "equal to" not in problem.what)
    assert message.startswith("clinic.csv:2")
    assert said in message
    assert "free" not in message
    reject = study.rejects.iloc[0]
    assert (reject["file"], reject["row"]) == ("clinic.csv", 2)
    assert reject["line"].split(",")[:2] == line.replace('"', "").split(",")[:2]


def test_a_faulty_line_is_kept_aside_also_beside_lines_that_are_headings(write_clinic):
    # The headings are lines of too few cells, as the broken ones are, but are none: that there is one of each must not
    # look as though all that is rejected had been found.
    study = open_one(write_clinic(many("North", "n1,2026-10-02,gratis")))
    assert study.rows["rejected"] == 1
    assert study.rejects[["column", "reason"]].values.tolist() == [
        ["", "a heading, no payment"],
        ["amount", "not a number"],
    ]


def test_an_amount_alone_is_a_payment_of_nobody_and_no_heading(write_clinic):
    with pytest.raises(ExportError, match=r"clinic\.csv:602 «id»: empty\. Every line needs the patient's id"):
        _ = open_one(write_clinic(many("n1,2026-10-02,5") + ",,500\n")).rows


def test_an_amount_alone_under_many_columns_is_a_total(write_clinic):
    lines = "".join(f"{n},2026-10-01,5,Peel,North\n" for n in range(9))
    study = open_one(write_clinic(f"id,date,amount,service,branch\n{lines},,45,,\n"))
    assert study.rejects[["row", "reason"]].values.tolist() == [[11, "a total, no payment"]]
    assert study.rows["money_read"] == 45


@pytest.mark.parametrize("end", ["31", "31,2026", '"31"'])
def test_a_last_line_that_is_cut_short_is_rejected_and_no_heading(write_clinic, end):
    study = open_one(write_clinic(many("n1,2026-10-02,5") + end))
    assert (study.rows["kept"], study.rows["rejected"]) == (600, 1)
    (said,) = [str(problem) for problem in study.problems if "clinic.csv:602" in str(problem)]
    assert "the file ends inside this line. If it is cut short, export it again" in said


def test_a_total_may_be_a_last_line_without_an_end(write_clinic):
    study = open_one(write_clinic(many("n1,2026-10-02,5") + "Total: 3000"))
    assert study.rejects["reason"].tolist() == ["a total, no payment"]


def test_rows_are_counted_as_a_spreadsheet_does(write_clinic):
    text = 'id,date,amount,note\n1,2026-10-01,5,"two\nlines"\n\n2,2026-10-01,x,\n1,2026-10-01\n' + "".join(
        f"{n},2026-10-{n % 28 + 1:02},10,\n" for n in range(3, 600)
    )
    study = open_one(write_clinic(text))
    # The header is row 1, the cell with a line break is one row, the blank row counts.
    assert study.rejects["row"].tolist() == [4, 5]
    assert study.rows["read"] == 1 + 2 + 597


def test_more_than_one_percent_of_faulty_lines_stop_the_run(write_clinic):
    path = write_clinic(HEAD + "".join(f"{n},2026-10-01,{'x' if n < 3 else n}\n" for n in range(1, 101)))
    with pytest.raises(ExportError, match=r"clinic\.csv:2 «amount»: not a number.*\(2 such lines\)"):
        _ = open_one(path).rows


def test_a_missing_patient_id_stops_the_run(write_clinic):
    with pytest.raises(ExportError, match=r"clinic\.csv:2 «id»: empty"):
        _ = open_one(write_clinic(many(" ,2026-10-01,5"))).rows


def test_every_kind_of_fault_is_told_at_once(write_clinic):
    path = write_clinic(HEAD + ",2026-10-01,5\n1,2026-02-31,x\n1,2026-10-01\n")
    with pytest.raises(ExportError) as refused:
        _ = open_one(path).rows
    assert sorted(problem.what.split(" (")[0] for problem in refused.value.problems) == [
        "2 fields where there are 3 headings",
        "empty",
        "not a date",
        "not a number",
    ]


HEADINGS = {
    "renamed": ("id,day,amount\n1,2026-10-01,5\n", "clinic.csv:1 «date»: no such column."),
    "doubled": ("id,date,amount,amount\n1,2026-10-01,5,6\n", "clinic.csv:1 «amount»: stands 2 times."),
    "nearly": ("id,Date,amount\n1,2026-10-01,5\n", "Is it «Date»?"),
}


@pytest.mark.parametrize(("text", "said"), HEADINGS.values(), ids=HEADINGS.keys())
def test_headings(write_clinic, text, said):
    with pytest.raises((ClinicFileError, ExportError)) as refused:
        _ = open_one(write_clinic(text)).rows
    assert said in str(refused.value)


def test_another_delimiter_is_named(write_clinic):
    with pytest.raises(ClinicFileError, match=r'clinic\.csv:1: has a single cell\. Write delimiter = ";"'):
        _ = open_one(write_clinic("id;date;amount\n1;2026-10-01;5\n")).rows


def test_copies_with_a_receipt_are_dropped_and_without_one_are_kept_and_said(write_clinic):
    text = "id,date,amount,receipt\n1,2026-10-01,5,A\n1,2026-10-01,5,A\n1,2026-10-01,6,A\n"
    study = open_one(write_clinic(text, parts='receipt_id = "receipt"'))
    assert [study.rows[key] for key in ("read", "kept", "duplicates")] == [3, 2, 1]
    assert study.totals["revenue"] == 5 + 6
    study = open_one(write_clinic(text))
    assert study.rows["kept"] == 3
    assert "equal to an earlier one" in str(study.problems[0])


def test_lines_after_the_month_are_cut_and_counted(write_clinic):
    text = HEAD + "1,2026-08-31,5\n1,2026-09-01,7\n2,2026-10-05,9\n"
    study = open_one(write_clinic(text), month="2026-08")
    assert study.rows == {
        "read": 3, "kept": 1, "rejected": 0, "duplicates": 0, "after_as_of": 2,
        "money_read": Decimal(21), "money_kept": Decimal(5), "money_rejected": 0, "money_duplicates": 0,
        "money_after_as_of": Decimal(16),
    }  # fmt: skip


def test_bonuses_in_the_amount_are_taken_out(write_clinic):
    text = "id,date,amount,paid by bonus\n1,2026-10-01,50,20\n2,2026-10-01,30,\n"
    path = write_clinic(text, transactions="amount_includes_bonus = true", parts='bonus_redeemed = "paid by bonus"')
    assert open_one(path).totals["revenue"] == (50 - 20) + 30


def test_lines_swallowed_by_a_stray_quotation_mark_are_missed(write_clinic):
    lines = [f"{n},2026-10-01,5,note\n" for n in range(400)]
    lines[100], lines[200] = '100,2026-10-01,5,"note\n', '200,2026-10-01,5,note"\n'
    with pytest.raises(ExportError, match=r"clinic\.csv:102: a quoted cell holds whole lines"):
        _ = open_one(write_clinic("id,date,amount,note\n" + "".join(lines))).rows


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_two_lines_that_stray_quotation_marks_join_are_refused(write_clinic, newline):
    lines = [f"{n};Filling;2026-10-01;5\n" for n in range(40)]
    lines[20], lines[21] = '20;"Implant;2026-10-01;100\n', '21;Cleaning";2026-10-02;200\n'
    text = ("id;service;date;amount\n" + "".join(lines)).replace("\n", newline)
    with pytest.raises(ExportError, match=r"clinic\.csv:22: a quoted cell holds whole lines"):
        _ = open_one(write_clinic(text, transactions='delimiter = ";"')).rows


def test_headings_that_capitals_or_numbers_alone_tell_apart_are_several(write_clinic):
    head = "id,date,amount,receipt,x,x,x (2),X\n"
    lines = "1,2026-10-01,5,R,a,b,c,d\n1,2026-10-01,5,R,a,b,C,d\n"
    assert open_one(write_clinic(head + lines, parts='receipt_id = "receipt"')).rows["kept"] == 2


def test_files_whose_headings_differ_in_capitals_are_one_table(tmp_path):
    (tmp_path / "1.csv").write_text("id,date,amount,Note\n1,2026-09-01,5,a\n")
    (tmp_path / "2.csv").write_text("id,date,amount,NOTE\n2,2026-10-01,7,b\n")
    (tmp_path / "c.toml").write_text(
        'name = "C"\ncurrency = "USD"\n[transactions]\nsource = "*.csv"\n[transactions.columns]\n'
        'patient_id = "id"\nvisit_date = "date"\namount = "amount"\n'
    )
    assert open_one(tmp_path / "c.toml").rows["kept"] == 2


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        (["TEST_*"], ["[TEST] a", "TESTER", "a%b", "axb"]),
        (["TEST*"], ["[TEST] a", "a%b", "axb"]),
        (["[TEST]*"], ["TESTER", "TEST_1", "a%b", "axb"]),
        (["a%b"], ["TESTER", "TEST_1", "[TEST] a", "axb"]),
        (["a?b", "TEST_?"], ["TESTER", "[TEST] a"]),
    ],
)
def test_a_pattern_of_test_patients_means_what_it_says(write_clinic, patterns, left):
    ids = ["TEST_1", "TESTER", "[TEST] a", "a%b", "axb"]
    text = HEAD + "".join(f"{one},2026-10-01,5\n" for one in ids)
    study = open_one(write_clinic(text, transactions=f"test_patients = {patterns}".replace("'", '"')))
    assert sorted(study.transactions.execute()["patient_id"]) == sorted(left)


@pytest.mark.parametrize("sign", ["§", "，", "\\n", "\\r", "a", ";;", "", "."])
def test_a_delimiter_is_one_sign_that_is_none_of_text(write_clinic, sign):
    with pytest.raises(ClinicFileError, match="delimiter: must"):
        open_one(write_clinic(HEAD, transactions=f'delimiter = "{sign}"'))


def test_days_in_another_order_are_a_fault_of_the_clinic_file(write_clinic):
    text = HEAD + "".join(f"{n},10/{n + 12}/2026,5\n" for n in range(19)) * 3
    with pytest.raises(ClinicFileError, match="Most lines are so: correct date_format in the clinic file"):
        _ = open_one(write_clinic(text, transactions='date_format = "%d/%m/%Y"')).rows


@pytest.mark.parametrize("name", ["\0", "\x02"])
def test_bytes_that_are_no_text_are_told_with_their_line(write_clinic, name):
    text = HEAD + "".join(f"{n},2026-10-01,5{name if n == 5000 else ''}\n" for n in range(9000))
    with pytest.raises(ExportError, match=r"clinic\.csv:5002: holds bytes that are no text"):
        _ = open_one(write_clinic(text)).rows


@pytest.mark.parametrize("line", ["Код\u0434", "Код;01.10.2026;5;ещё\u0434"])
def test_a_line_cut_inside_a_letter_is_told_with_its_row_and_nothing_else(write_clinic, monkeypatch, line):
    said = []
    monkeypatch.setattr("sys.unraisablehook", said.append)
    text = TEXT.encode() + line.encode()[:-1]
    with pytest.raises(ClinicFileError, match=r"clinic\.csv:5: is not utf-8 text"):
        _ = open_one(write_clinic(text, transactions=WRITTEN)).rows
    assert said == []


def test_a_quoted_cell_that_does_not_end_is_told_where_it_begins(write_clinic):
    lines = [f"{n},2026-10-01,5\n" for n in range(3000)]
    lines[3] = '3,2026-10-01,"5\n'
    text = HEAD + "".join(lines)
    with pytest.raises(ExportError, match=r"clinic\.csv:5: a quoted cell does not end"):
        _ = open_one(write_clinic(text)).rows


@pytest.mark.parametrize("encoding", ["utf-8", "cp1251", "gb18030", "utf-16"])
@pytest.mark.parametrize("size", [1, 7, 64, 300])
def test_rows_do_not_depend_on_where_the_file_is_cut_into_pieces(write_clinic, tmp_path, monkeypatch, encoding, size):
    lines = [
        f'{n};"Зуб\n{n % 32}";{1 + n % 28:02}.10.2026;{n},50\n'
        if n % 7 == 0
        else f"Код-{n};Чистка;{1 + n % 28:02}.10.2026;-{n},5\n"
        for n in range(60)
    ]
    lines[30] = "Код;Чистка\n"
    text = "id;service;date;amount\n" + "".join(lines)
    keys = f'encoding = "{encoding}"\ndelimiter = ";"\ndecimal = ","\ndate_format = "%d.%m.%Y"\n'
    path = write_clinic((text + "x;y;01.10.2026;1\n" * 100).encode(encoding), transactions=keys)
    whole = open_one(path)
    expected, rejects = lines_of(whole), whole.rejects
    monkeypatch.setattr("rfmkit.data.delimited._CHUNK_BYTES", size)
    monkeypatch.setenv("RFMKIT_CACHE", str(tmp_path / "another"))
    cut = open_one(path)
    assert lines_of(cut) == expected
    assert cut.rejects.equals(rejects)
    assert len(expected) == 159


def test_an_inch_mark_is_no_quotation_mark(write_clinic):
    study = open_one(write_clinic('id,date,amount,note\n1,2026-10-01,5,pipe 5" long\n2,2026-10-01,5,x\n'))
    assert study.rows["kept"] == 2


def test_a_column_that_one_file_lacks_is_empty_there(tmp_path):
    (tmp_path / "1.csv").write_text("id,date,amount,receipt,tooth\n1,2026-09-01,5,R,11\n1,2026-09-01,5,R,12\n")
    (tmp_path / "2.csv").write_text("id,date,amount,receipt\n2,2026-10-01,7,S\n")
    (tmp_path / "c.toml").write_text(
        'name = "C"\ncurrency = "USD"\n[transactions]\nsource = "*.csv"\n[transactions.columns]\n'
        'patient_id = "id"\nvisit_date = "date"\namount = "amount"\nreceipt_id = "receipt"\n'
    )
    assert open_one(tmp_path / "c.toml").rows["kept"] == 3


def test_files_of_one_name_are_told_apart(tmp_path):
    for number, amount in [("a", "5"), ("b", "free")]:
        (tmp_path / number).mkdir()
        (tmp_path / number / "lines.csv").write_text(HEAD + f"1,2026-10-01,{amount}\n")
    (tmp_path / "c.toml").write_text(
        'name = "C"\ncurrency = "USD"\n[transactions]\nsource = "*/lines.csv"\n'
        '[transactions.columns]\npatient_id = "id"\nvisit_date = "date"\namount = "amount"\n'
    )
    with pytest.raises(ExportError, match=r"b/lines\.csv:2 «amount»: not a number \(4 letters\)"):
        _ = open_one(tmp_path / "c.toml").rows


def test_a_rejected_line_is_kept_as_the_export_has_it(write_clinic):
    text = "note,id,date,amount\n" + "".join(f"n{n},{n},2026-10-01,{n or 'x'}\n" for n in range(200))
    assert open_one(write_clinic(text)).rejects["line"].tolist() == ["n0,0,2026-10-01,x"]


def test_a_message_tells_no_heading_but_the_nearest(write_clinic):
    with pytest.raises(ClinicFileError) as refused:
        _ = open_one(write_clinic("17,Ivanova Maria,+79991234567\n18,Petrova Anna,+79991234568\n")).rows
    assert "Ivanova" not in str(refused.value)
    assert "this line has 3 cells" in str(refused.value)


def test_refunds_alone_are_no_visit(write_clinic):
    with pytest.raises(ExportError, match="has no visit up to 2026-10-31"):
        _ = open_one(write_clinic(HEAD + "1,2026-10-01,-5\n")).rows


SEMICOLONS = 'delimiter = ";"\n'


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ('50;"note";2026-10-01;5', '50;"note;2026-10-01;5'),  # never closed: it swallows the rest
        ('50;"note";2026-10-01;5', '50;"note;2026-10-01;5\n51;"note";2026-10-01;5'),  # closed by the next line's
        ('399;"note";2026-10-01;5', '399;"no\nmore text'),  # the file is cut short
        ('399;"note";2026-10-01;5', '399;"no'),
    ],
)
def test_a_quoted_cell_that_does_not_end_is_refused(write_clinic, newline, line, instead):
    text = "id;note;date;amount\n" + "".join(f'{n};"note";2026-10-01;5\n' for n in range(400))
    assert line in text
    text = text.replace(line, instead).replace("\n", newline)
    with pytest.raises(ExportError, match=r"clinic\.csv:[0-9]+: a quoted cell (does not end|holds whole lines)"):
        _ = open_one(write_clinic(text, transactions=SEMICOLONS)).rows


@pytest.mark.parametrize(
    ("cell", "amount"),
    [("+5", "5"), (".50", "0.50"), ("5.", "5"), ("\u00a07.00\u00a0", "7"), ("\u22123", "-3"), ("-0", "0")],
)
def test_ways_to_write_a_number(write_clinic, cell, amount):
    study = open_one(write_clinic(HEAD + f"1,2026-10-01,{cell}\n1,2026-10-02,9\n"))
    assert lines_of(study)[0][2] == Decimal(amount)


def test_spaces_around_an_id_are_none_of_it(write_clinic):
    study = open_one(write_clinic(HEAD + "P1\u00a0,2026-10-01,5\n P1,2026-10-02,5\n"))
    assert study.totals["patients"] == 1


def test_a_file_of_patients_that_is_mostly_broken_is_refused(write_clinic):
    parts = '[patients]\nsource = "../data/people.csv"\n[patients.columns]\npatient_id = "id"\n'
    clinic = write_clinic(HEAD + "1,2026-10-01,5\n", parts=parts)
    (clinic.parent.parent / "data" / "people.csv").write_text("id,name\n1,Doe, John\n2,Roe, Jane\n")
    with pytest.raises(ExportError, match=r"people\.csv:2: 3 fields where there are 2 headings.*\(2 such lines\)"):
        _ = open_one(clinic).rows


cells = st.tuples(
    st.sampled_from(["1", "2", "", " "]),
    st.sampled_from(["2026-09-30", "2026-10-01", "2026-11-02", "2026-11-30", "2026-02-30", ""]),
    st.sampled_from(["5", "7.50", "-3", "0", "x", ""]),
    st.sampled_from(["A", "B", ""]),
)


@settings(max_examples=40)
@given(rows=st.lists(cells, min_size=1, max_size=12).filter(lambda rows: any(map(any, rows))))
def test_the_law_of_lines(tmp_path_factory, rows):
    from rfmkit.clinic import Transactions
    from rfmkit.data.checks import check_lines
    from rfmkit.data.inputs import input_files
    from rfmkit.data.sources import read_export

    folder = tmp_path_factory.mktemp("law")
    (folder / "x.csv").write_text("id,date,amount,receipt\n" + "".join(",".join(row) + "\n" for row in rows))
    columns = {"patient_id": "id", "visit_date": "date", "amount": "amount", "receipt_id": "receipt"}
    spec = Transactions(source="x.csv", columns=columns, decimal=".", date_format="%Y-%m-%d")
    export = read_export(input_files("x.csv", folder, ""), spec, folder)
    fates, counted, seen, money = [], [], set(), Decimal(0)
    for row in rows:
        who, day, amount, receipt = row
        faulty = not who.strip() or day in {"", "2026-02-30", "2026-11-30"} or amount in {"x", ""}
        alone = sum(bool(cell.strip()) for cell in row) <= 1 and amount in {"x", ""}
        if not any(row) or (faulty and alone):
            continue  # a blank line is no line, and a single cell that is no amount is the heading of a group
        if faulty:
            fates.append("rejected")
        elif receipt and row in seen:
            fates.append("duplicates")
        else:
            fates.append("after_as_of" if day > "2026-11" else "kept")
        counted.append(row)
        seen.add(row)
        money += Decimal(amount) if amount not in {"x", ""} else 0
    try:
        rows_said = check_lines(export, spec, dt.date(2026, 10, 31), TODAY).rows
    except ExportError:
        sold = [fate == "kept" and row[2] != "-3" for fate, row in zip(fates, counted, strict=True)]
        assert "rejected" in fates or not any(sold)
        return
    names = ("kept", "rejected", "duplicates", "after_as_of")
    assert {name: rows_said[name] for name in names} == {name: fates.count(name) for name in names}
    assert rows_said["read"] == len(fates)
    assert rows_said["money_read"] == money == sum(rows_said[f"money_{name}"] for name in names)
