from datetime import date

from library.fees import fee

from testd.assertions import is_

DUE = date(2024, 2, 26)
TABLE = [
    ("early", date(2024, 2, 20), 0),
    ("on the day", date(2024, 2, 26), 0),
    ("one day late", date(2024, 2, 27), 10),
    ("over the leap day", date(2024, 3, 1), 40),
    ("a week late", date(2024, 3, 4), 70),
    ("eight days late", date(2024, 3, 5), 95),
    ("a year late", date(2025, 2, 26), 1000),
]


def fees_follow_the_table():
    for what, returned, cents in TABLE:
        is_(cents, fee(DUE, returned), what)


def fees_never_fall_as_time_goes_by():
    days = [fee(DUE, date.fromordinal(DUE.toordinal() + late)) for late in range(100)]
    assert days == sorted(days)


if __name__ == "__main__":
    fees_follow_the_table()
    fees_never_fall_as_time_goes_by()
