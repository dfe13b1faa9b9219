"""Writes python.json: what Python's re and datetime.strptime make of patterns, formats and texts.

    python make_python.py
"""

import datetime
import json
import pathlib
import re

PATTERNS = ["^a", "a$", "^$", r"\d", r"^\d+$", r"\D", r"\w+", r"^\w+$", r"\W", r"\s", r"^\S+$", "[a-c]", "[^a-c]$", "[]a]", "[^]a]", "a|b$", "(?i)ABC", "(?P<x>a)b",
            r"\bab\b", r"a{2,3}", r"^[\w.]+@[\w.]+$", r"[\d-]", r"[\s]", r"\Aab\Z", r"a\$", r"[$]", "x*", r"(a$|b)", ".", "^.$", r"\.", "é", r"^[A-Z]{2}\d{3}$", "(?s)a.b", "(?m)^b$", "(?m)b$", r"\u00e9", "a{,2}b$", "(?im)^B$"]
TEXTS = ["", "a", "b", "ab", "abc", "ABC", "a\n", "a\nb", "b\n", "aa", "aaa", "٣", "12", "1-2", "é", "日本", "a b", " ", "\u00a0", "a]", "$", "a$", "x.y@z.org", "AB123", "_", "\x1c", "a\rb", "b\nc", "aab"]
FORMATS = ["%Y-%m-%d", "%d/%m/%y", "%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z", "%I:%M %p", "%b %d, %Y", "%A, %d %B %Y", "%j %Y", "%Y%m%d", "%f", "%d %m", "100%%", "%Y-%m-%d %H:%M:%S.%f", "%a %y"]
TIMES = ["2020-02-29", "2021-02-29", "2020-2-9", "2020-13-01", "2020-00-10", "0000-01-01", "29/02/20", "1/1/99", "31/04/21", "23:59:59", "24:00:00", "1:2:3", "12:00:60", "12:00:61", "12:00:62",
         "2020-01-01T00:00:00Z", "2020-01-01T00:00:00+0200", "2020-01-01T00:00:00+02:00", "2020-01-01T00:00:00+99:00", "2020-01-01T00:00:00+24:00", "12:30 PM", "12:30 pm", "13:30 PM", "0:10 AM",
         "Jan 05, 2020", "jan 5, 2020", "Foo 5, 2020", "Monday, 05 January 2020", "sunday,  5 january 2020", "366 2020", "366 2021", "000 2020", "20200131", "2020131", "123456", "1234567", "29 02", "28 02",
         "100%", "2020-01-01 00:00:00.5", "2020-01-01  00:00:00.000001", "Tue 05", "", " 2020-01-01", "2020-01-01 ", "2020- 1-01", "2020-01- 1"]


def parses(text, fmt):
    try:
        datetime.datetime.strptime(text, fmt)
        return True
    except ValueError:
        return False


out = {
    "patterns": [{"pattern": p, "matches": [t for t in TEXTS if re.search(p, t)]} for p in PATTERNS],
    "texts": TEXTS,
    "formats": [{"format": f, "matches": [t for t in TIMES if parses(t, f)]} for f in FORMATS],
    "times": TIMES,
}
(pathlib.Path(__file__).parent / "python.json").write_text(json.dumps(out, indent=1) + "\n")
