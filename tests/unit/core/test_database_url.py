import pytest
from hypothesis import given
from hypothesis import strategies as st

from prequal.core.database_url import parse, verified
from prequal.core.errors import Misconfigured
from prequal.core.settings import DatabaseSettings, load


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://u:p@db/prequal", [("db", 5432)]),
        ("postgres://u:p@db:6432/prequal", [("db", 6432)]),
        ("postgresql://u:p@db-a:5433,db-b/prequal?target_session_attrs=read-write", [("db-a", 5433), ("db-b", 5432)]),
        ("postgresql://u:p@[::1]:5433,[fe80::1]/prequal", [("::1", 5433), ("fe80::1", 5432)]),
        ("postgresql://u@%2Fvar%2Frun/prequal", [("/var/run", 5432)]),
        ("postgresql:///prequal?host=db-a,db-b&port=5433", [("db-a", 5433), ("db-b", 5433)]),
        ("postgresql:///prequal?host=db-a,db-b&port=1,2", [("db-a", 1), ("db-b", 2)]),
        ("postgresql://db-a:1,db-b:2/prequal?port=3", [("db-a", 3), ("db-b", 3)]),
        ("postgresql://db-a:1/prequal?host=db-b", [("db-b", 1)]),
        ("postgresql:///prequal", []),
    ],
)
def test_hosts_are_those_that_libpq_would_try(url: str, hosts: list[tuple[str, int]]) -> None:
    assert list(parse(url).hosts) == hosts


def test_parameter_that_we_replace_is_left_out_and_others_stay() -> None:
    url = "postgresql://u:p@db/prequal?connect_timeout=10&sslmode=require&keepalives_idle=5&options=-c%20a%3Db"

    assert parse(url).url == "postgresql://u:p@db/prequal?sslmode=require&options=-c%20a%3Db"


def test_port_without_a_host_stays() -> None:
    assert parse("postgresql:///prequal?port=5433").url == "postgresql:///prequal?port=5433"


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("postgresql://u@db/prequal", "postgresql://u@db/prequal?sslmode=verify-full&sslrootcert=%2Fca.pem"),
        ("postgresql://u@db/p?options=-c", "postgresql://u@db/p?options=-c&sslmode=verify-full&sslrootcert=%2Fca.pem"),
    ],
)
def test_address_with_an_authority_is_verified_once(given: str, made: str) -> None:
    assert verified(given, "/ca.pem") == verified(made, "/ca.pem") == made


@pytest.mark.parametrize("query", ["sslmode=require", "sslrootcert=%2Fanother.pem"])
def test_address_that_says_otherwise_is_not_verified_by_an_authority(query: str) -> None:
    with pytest.raises(ValueError, match="beside DATABASE_CA_FILE: keep one"):
        verified(f"postgresql://u@db/prequal?{query}", "/ca.pem")


def test_ssl_as_jdbc_has_it_is_required() -> None:
    assert parse("postgresql://db/prequal?ssl=true").url == "postgresql://db/prequal?sslmode=require"


def test_plus_sign_of_a_password_stays_one() -> None:
    assert parse("postgresql://db/prequal?password=a+b").url == "postgresql://db/prequal?password=a%2Bb"


@pytest.mark.parametrize("value", ["any", "read-write", "primary"])
def test_wish_for_a_server_that_takes_writes_is_taken(value: str) -> None:
    assert parse(f"postgresql://db/prequal?target_session_attrs={value}").hosts == (("db", 5432),)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("target_session_attrs=standby", "target_session_attrs"),
        ("target_session_attrs=prefer-standby", "target_session_attrs"),
        ("channel_binding=require", "channel_binding"),
        ("gssencmode=require", "gssencmode"),
        ("hostaddr=127.0.0.1", "hostaddr"),
        ("sslmode=requires", "sslmode"),
        ("sslrootcert=system", "sslrootcert"),
        ("sslcrl=%2Fnowhere", "sslcrl"),
        ("require_auth=scram-sha-256", "require_auth"),
    ],
)
def test_parameter_that_cannot_be_honoured_is_refused_by_name(query: str, words: str) -> None:
    with pytest.raises(Misconfigured, match=rf"^Bad settings: DATABASE_URL (has|names) .*{words}"):
        load(DatabaseSettings, database_url=f"postgresql://u:p@db/prequal?{query}")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@db/prequal?hunter2=1",
        "postgresql://u:p?hunter2=2@db/prequal",
        "postgresql://u:p@db:hunter2/prequal",
        "postgresql://u:p@db-a:1,db-b:hunter2/prequal",
        "postgresql://u:p@db:0/prequal",
        "postgresql://u:p@db/prequal?sslmode",
        "postgresql:///prequal?host=a,b,c&port=1,2",
        "mysql://u:p@db/hunter2",
    ],
)
def test_address_that_no_client_could_use_is_refused_without_its_text(url: str) -> None:
    with pytest.raises(Misconfigured, match=r"^Bad settings: DATABASE_URL ") as refused:
        load(DatabaseSettings, database_url=url)

    assert "hunter2" not in str(refused.value)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_a_bad_setting(text: str) -> None:
    refusal = ""
    try:
        parse(f"postgresql://{text}")
    except ValueError as error:
        refusal = str(error)

    assert refusal.startswith(("must look like", "has ")) or not refusal
