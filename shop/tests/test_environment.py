from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from shop.environment import (
    DATABASE_SCHEMES,
    is_set,
    mask_password,
    next_database,
    read_bool,
    read_database,
    read_list,
    read_redis_url,
    read_seconds,
    read_text,
)

NAME = "VARIABLE_OF_A_TEST"

SetVariable = Callable[[str | None], None]

words = st.text(st.characters(categories=["L", "N"]), max_size=8)
# Without control characters and surrogates, which no line of an env file contains.
passwords = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=20)

not_set = pytest.mark.parametrize("value", [None, "", "  "])


@pytest.fixture
def set_variable(monkeypatch: pytest.MonkeyPatch) -> SetVariable:
    """Give the variable a value; ``None`` unsets it."""

    def give(value: str | None) -> None:
        if value is None:
            monkeypatch.delenv(NAME, raising=False)
        else:
            monkeypatch.setenv(NAME, value)

    return give


# Words


@not_set
def test_empty_means_not_set(value: str | None, set_variable: SetVariable) -> None:
    set_variable(value)

    assert not is_set(NAME)
    assert read_text(NAME) == ""
    assert read_text(NAME, default="text") == "text"
    assert read_list(NAME) == []
    assert read_bool(NAME, default=True) is True
    assert read_bool(NAME, default=False) is False
    assert read_seconds(NAME, default=1.5, maximum=60) == 1.5
    assert read_redis_url(NAME) == ""
    assert read_database(NAME) == {}


def test_a_text_is_read_without_surrounding_blanks(set_variable: SetVariable) -> None:
    set_variable("  two words ")

    assert is_set(NAME)
    assert read_text(NAME, default="other") == "two words"


def test_a_text_may_begin_with_a_dollar_sign(set_variable: SetVariable) -> None:
    set_variable("$ecret")

    assert is_set(NAME)
    assert read_text(NAME) == "$ecret"


@pytest.mark.parametrize(
    ("value", "expected"), [("a", ["a"]), (" a , b,c ", ["a", "b", "c"]), (",a,,", ["a"]), (",", [])]
)
def test_a_list_is_split_at_commas(value: str, expected: list[str], set_variable: SetVariable) -> None:
    set_variable(value)

    assert read_list(NAME) == expected


# Switches


@pytest.mark.parametrize("value", ["on", "ON", " true ", "True", "yes", "1"])
def test_several_words_mean_on(value: str, set_variable: SetVariable) -> None:
    set_variable(value)

    assert read_bool(NAME, default=False) is True


@pytest.mark.parametrize("value", ["off", "OFF", " false ", "False", "no", "0"])
def test_several_words_mean_off(value: str, set_variable: SetVariable) -> None:
    set_variable(value)

    assert read_bool(NAME, default=True) is False


@pytest.mark.parametrize("value", ["maybe", "2", "on # for now", "ja", "y"])
def test_a_word_that_means_neither_on_nor_off_is_refused(value: str, set_variable: SetVariable) -> None:
    set_variable(value)

    with pytest.raises(ImproperlyConfigured) as raised:
        read_bool(NAME, default=False)

    assert str(raised.value) == f"{NAME} must be on or off, got {value!r}."


# Seconds


@pytest.mark.parametrize(
    ("value", "expected"), [("0", 0), ("0.25", 0.25), (" 2 ", 2), ("60", 60), ("1e1", 10)]
)
def test_seconds_from_zero_to_the_maximum_are_accepted(
    value: str, expected: float, set_variable: SetVariable
) -> None:
    set_variable(value)

    assert read_seconds(NAME, default=1, maximum=60) == expected


@pytest.mark.parametrize("value", ["-1", "-0.001", "60.001", "abc", "nan", "inf", "-inf", "1s", "1,5"])
def test_seconds_outside_the_range_are_refused(value: str, set_variable: SetVariable) -> None:
    set_variable(value)

    with pytest.raises(ImproperlyConfigured) as raised:
        read_seconds(NAME, default=1, maximum=60)

    assert str(raised.value) == f"{NAME} must be a number of seconds from 0 to 60, got {value!r}."


# URLs


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:6379/1", "rediss://user:pa:ss@h/1", "unix:///run/redis.sock?db=1", "redis://h"]
)
def test_a_redis_url_is_returned_unchanged(url: str, set_variable: SetVariable) -> None:
    set_variable(f" {url} ")

    assert read_redis_url(NAME) == url


@pytest.mark.parametrize(
    "url",
    [
        *("http://x", "127.0.0.1:6379", "redis", "://", "redis://[::1", "REDIS://h", "unix://"),
        *("redis:h:6379/1", "redis:/h/1", "redis://h:port/1", "redis://h:99999/1", "redis://h:0/1"),
    ],
)
def test_a_url_that_redis_py_cannot_use_is_refused(url: str, set_variable: SetVariable) -> None:
    set_variable(url)

    with pytest.raises(ImproperlyConfigured) as raised:
        read_redis_url(NAME)

    assert str(raised.value) == (
        f"{NAME} must be like redis://127.0.0.1:6379/1 or unix:///path/redis.sock?db=1, got {url!r}."
    )


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("redis://h/abc", "a number for its database, as in redis://127.0.0.1:6379/1"),
        ("redis://h/1/2", "a number for its database, as in redis://127.0.0.1:6379/1"),
        ("redis://h/-1", "a number for its database, as in redis://127.0.0.1:6379/1"),
        ("unix:///r.sock?db=-1", "a database of at least 0"),
        ("redis://h/1?foo=bar", "options that redis-py knows, or none"),
        ("unix:///r.sock?db=1&host=h", "options that redis-py knows, or none"),
        ("redis://h/1?protocol=9", "options that redis-py takes (protocol must be either 2 or 3)"),
    ],
)
def test_a_redis_url_that_redis_py_would_refuse_late_or_misread_is_refused(
    url: str, rule: str, set_variable: SetVariable
) -> None:
    set_variable(url)

    with pytest.raises(ImproperlyConfigured) as raised:
        read_redis_url(NAME)

    assert str(raised.value) == f"{NAME} must have {rule}; got {url!r}."


@pytest.mark.parametrize(
    "url",
    ["redis://h/", "redis://h/1?max_connections=5&socket_keepalive=yes", "rediss://h/1?ssl_cert_reqs=none"],
)
def test_a_redis_url_with_options_that_redis_py_knows_is_accepted(
    url: str, set_variable: SetVariable
) -> None:
    set_variable(url)

    assert read_redis_url(NAME) == url


@pytest.mark.parametrize("url", ["http://user:pa:ss@h/1", "redis://user:pa:ss@h:port/1"])
def test_a_refused_url_is_shown_without_its_password(url: str, set_variable: SetVariable) -> None:
    set_variable(url)

    with pytest.raises(ImproperlyConfigured) as raised:
        read_redis_url(NAME)
    assert "user:***@h" in str(raised.value)
    assert "pa:ss" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "following"),
    [
        ("redis://127.0.0.1:6379/1", "redis://127.0.0.1:6379/2"),
        ("redis://u:xdb=1@h", "redis://u:xdb=1@h/1"),
        ("rediss://h/3?x=db%3D2", "rediss://h/4?x=db%3D2"),
        ("redis://h/1?db=7", "redis://h/1?db=8"),
        ("unix:///a/db=/r.sock?db=1", "unix:///a/db=/r.sock?db=2"),
        ("unix:///r.sock", "unix:///r.sock?db=1"),
        ("", ""),
    ],
)
def test_the_next_database_is_on_the_same_server(url: str, following: str) -> None:
    assert next_database(url) == following


# Databases


def database_rule(shown: str) -> str:
    return (
        f"{NAME} must be like postgres://user:password@host:5432/name or sqlite:///path/file, "
        f"with %2F and %40 for / and @ in a password; got {shown!r}."
    )


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_a_postgresql_url_configures_a_database(scheme: str, set_variable: SetVariable) -> None:
    set_variable(f"{scheme}://shop:p%40ss%2Fw@db.example.com:5433/catalogue")

    database = read_database(NAME)

    assert database == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "catalogue",
        "USER": "shop",
        "PASSWORD": "p@ss/w",
        "HOST": "db.example.com",
        "PORT": 5433,
    }


def test_a_postgresql_url_without_a_host_uses_the_local_socket(set_variable: SetVariable) -> None:
    set_variable("postgres:///catalogue")

    database = read_database(NAME)

    assert (database["HOST"], database["NAME"]) == ("", "catalogue")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite:////var/shop.sqlite3", "/var/shop.sqlite3"),
        ("sqlite:///shop.sqlite3", "shop.sqlite3"),
        ("sqlite://:memory:", ":memory:"),
    ],
)
def test_a_sqlite_url_configures_a_database(url: str, name: str, set_variable: SetVariable) -> None:
    set_variable(url)

    database = read_database(NAME)

    assert database["ENGINE"] == "django.db.backends.sqlite3"
    assert database["NAME"] == name


@pytest.mark.parametrize("url", ["mongodb://shop:pa:ss@h/db", "mysql://shop:pa:ss@h/db"])
def test_a_database_other_than_postgresql_and_sqlite_is_refused(url: str, set_variable: SetVariable) -> None:
    set_variable(url)

    with pytest.raises(ImproperlyConfigured) as raised:
        read_database(NAME)

    assert str(raised.value) == database_rule(url.replace("pa:ss", "***"))


@pytest.mark.parametrize("port", ["port", "99999", "-1"])
def test_a_database_with_a_bad_port_is_refused_without_its_password(
    port: str, set_variable: SetVariable
) -> None:
    set_variable(f"postgres://shop:p@ss@h:{port}/db")

    with pytest.raises(ImproperlyConfigured) as raised:
        read_database(NAME)

    assert str(raised.value) == database_rule(f"postgres://shop:***@h:{port}/db")
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_an_unquoted_slash_in_a_password_is_refused(set_variable: SetVariable) -> None:
    set_variable("postgres://u:p@ss/w@h/db")

    with pytest.raises(ImproperlyConfigured, match=r"'postgres://u:\*\*\*@h/db'"):
        read_database(NAME)


def test_the_options_of_a_sqlite_url_are_kept(set_variable: SetVariable) -> None:
    set_variable("sqlite:///shop.sqlite3?timeout=0.5&transaction_mode=DEFERRED")

    assert read_database(NAME)["OPTIONS"] == {"timeout": 0.5, "transaction_mode": "DEFERRED"}


@pytest.mark.parametrize("query", ["timeout=long", "foo=1", "database=other"])
def test_an_option_that_sqlite_does_not_have_is_refused(query: str, set_variable: SetVariable) -> None:
    set_variable(f"sqlite:///shop.sqlite3?{query}")

    with pytest.raises(ImproperlyConfigured) as raised:
        read_database(NAME)

    assert str(raised.value) == database_rule(f"sqlite:///shop.sqlite3?{query}")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgres://shop:phrase@127.0.0.1:5432", "postgres://shop:***@127.0.0.1:5432"),
        ("postgres://127.0.0.1:5432/", "postgres://127.0.0.1:5432/"),
        ("postgres:///", "postgres:///"),
        ("postgres://", "postgres://"),
        ("sqlite:///", "sqlite:///"),
        ("sqlite://", "sqlite://"),
    ],
)
def test_a_url_without_the_databases_name_is_refused(url: str, shown: str, set_variable: SetVariable) -> None:
    set_variable(url)

    with pytest.raises(ImproperlyConfigured) as raised:
        read_database(NAME)

    assert str(raised.value) == (
        f"{NAME} must end with the database's name, as in postgres://user:password@host:5432/name "
        f"or sqlite:///path/file; got {shown!r}."
    )


def test_a_service_of_postgresql_names_the_database(set_variable: SetVariable) -> None:
    set_variable("postgres:///?service=shop")

    assert read_database(NAME)["OPTIONS"] == {"service": "shop"}


def test_a_sqlite_url_with_two_slashes_is_refused(set_variable: SetVariable) -> None:
    set_variable("sqlite://shop.sqlite3")

    with pytest.raises(ImproperlyConfigured, match="sqlite:///"):
        read_database(NAME)


# Masks


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("redis://user:pa:ss@h/1", "redis://user:***@h/1"),
        ("redis://:pass@h:6379/1", "redis://:***@h:6379/1"),
        ("postgres://u:p@ss/w@h/db", "postgres://u:***@h/db"),
        ("redis://h/1?password=pa:ss", "redis://h/1?password=***"),
        ("unix:///redis.sock?db=1&password=pass&timeout=1", "unix:///redis.sock?db=1&password=***&timeout=1"),
        ("redis://u:pass@h/1?password=pass", "redis://u:***@h/1?password=***"),
    ],
)
def test_a_password_is_masked(url: str, masked: str) -> None:
    assert mask_password(url) == masked


@pytest.mark.parametrize(
    "url",
    ["redis://127.0.0.1:6379/1", "redis://user@h/1", "redis://[::1]:6379/1", "unix:///a b@c.sock?db=1", ""],
)
def test_a_url_without_a_password_is_shown_unchanged(url: str) -> None:
    assert mask_password(url) == url


@given(
    scheme=st.sampled_from(["redis", "rediss", "unix", *DATABASE_SCHEMES, "http", ""]),
    user=words,
    password=passwords,
    host=words,
    path=words,
)
def test_no_password_before_the_host_is_shown(
    scheme: str, user: str, password: str, host: str, path: str
) -> None:
    masked = mask_password(f"{scheme}://{user}:{password}@{host}:6379/{path}")

    assert masked == f"{scheme}://{user}:***@{host}:6379/{path}"


@given(password=passwords.filter(lambda password: "&" not in password), path=words)
def test_no_password_in_the_query_is_shown(password: str, path: str) -> None:
    masked = mask_password(f"unix:///{path}?db=1&password={password}&timeout=1")

    assert masked == f"unix:///{path}?db=1&password=***&timeout=1"


@pytest.mark.parametrize(
    "url",
    [
        "postgres://user@server:passphrase@h/db",
        "user:passphrase@h:6379/1",
        "redis:/user:passphrase@h/1",
        "rediss://h/1?ssl_password=passphrase",
        "postgres://u:pass\nphrase@h/db",
        "//user:passphrase@h",
        "redis://h?PASSWORD=passphrase",
    ],
    ids=["@ in the user", "no scheme", "one slash", "of a key", "line break", "slashes only", "capitals"],
)
def test_a_password_is_masked_in_unusual_urls_too(url: str) -> None:
    assert "phrase" not in mask_password(url)


def test_a_password_is_masked_after_a_user_name_with_a_slash() -> None:
    assert "phrase" not in mask_password("postgres://domain/user:passphrase@h/db")
