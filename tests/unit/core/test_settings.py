import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings

from prequal.core.errors import Misconfigured
from prequal.core.keys import key_bytes, split
from prequal.core.settings import (
    ApiSettings,
    CreditSettings,
    DatabaseSettings,
    DecisionSettings,
    KafkaSettings,
    PublisherSettings,
    ServiceSettings,
    StoresSettings,
    TopicsSettings,
    load,
)
from prequal.core.settings.console import ConsoleSettings
from prequal.core.settings.login import RolesSettings
from prequal.core.settings.simulator import SimulatorSettings
from prequal.schema.grants import Role
from tests.builders import DATABASE_URL, a_key, a_key_text

SERVICES: list[type[ServiceSettings]] = [ApiSettings, CreditSettings, DecisionSettings, PublisherSettings]
KEYS = {"encryption_key", "encryption_keys_retired", "pan_hash_key", "report_key", "report_keys_retired"}


def good(**settings: Any) -> dict[str, Any]:
    """Settings that every service starts with; a setting of `...` is left out."""
    all_of_them = {
        "database_url": DATABASE_URL,
        "kafka_bootstrap_servers": "127.0.0.1:9092",
        "encryption_key": a_key_text(1),
        "pan_hash_key": a_key_text(2),
        "report_key": a_key_text(4),
    } | settings
    return {name: value for name, value in all_of_them.items() if value is not ...}


def sentence(kind: type[ServiceSettings] = ApiSettings, **settings: Any) -> str:
    with pytest.raises(Misconfigured) as refused:
        load(kind, **good(**settings))
    assert refused.value.__cause__ is None
    return str(refused.value)


@pytest.mark.parametrize("kind", SERVICES)
def test_a_service_starts_with_what_is_required(kind: type[ServiceSettings]) -> None:
    assert load(kind, **good()).database_url == DATABASE_URL


@pytest.mark.parametrize(
    ("kind", "name", "port"),
    [
        (ApiSettings, "prequal-api", 8000),
        (CreditSettings, "credit-service", 8001),
        (DecisionSettings, "decision-service", 8002),
        (PublisherSettings, "publisher", 8003),
    ],
)
def test_a_service_has_its_documented_name_and_port(kind: type[ServiceSettings], name: str, port: int) -> None:
    settings = load(kind, **good())

    assert (settings.service_name, settings.http_port, settings.prometheus_port) == (name, port, None)


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        (ApiSettings, {"encryption_key", "encryption_keys_retired", "pan_hash_key"}),
        (CreditSettings, {"encryption_key", "encryption_keys_retired", "report_key"}),
        (DecisionSettings, {"report_key", "report_keys_retired"}),
        (PublisherSettings, set()),
    ],
)
def test_a_service_is_given_only_the_keys_it_needs(kind: type[ServiceSettings], keys: set[str]) -> None:
    assert KEYS & set(kind.model_fields) == keys


def test_every_setting_says_what_it_is_for() -> None:
    kinds: list[type[BaseSettings]] = [*SERVICES, TopicsSettings]

    for kind in kinds:
        assert all((field.description or "").endswith(".") for field in kind.model_fields.values())


@pytest.mark.parametrize("kind", SERVICES)
@pytest.mark.parametrize(
    "name", ["database_url", "kafka_bootstrap_servers", "encryption_key", "pan_hash_key", "report_key"]
)
def test_a_missing_setting_is_named(kind: type[ServiceSettings], name: str) -> None:
    if name in kind.model_fields:
        assert (
            sentence(kind, **{name: ...})
            == f"Bad settings: {name.upper()} is missing. See .env.example for every setting."
        )


BAD = [
    ("database_url", "mysql://root:hunter2@db/prequal"),
    ("database_url", ""),
    ("database_url", "hunter2"),
    ("kafka_bootstrap_servers", ""),
    ("kafka_bootstrap_servers", "hunter2"),
    ("kafka_bootstrap_servers", "kafka:9092,hunter2"),
    ("kafka_bootstrap_servers", "kafka:9092 hunter2:9092"),
    ("kafka_bootstrap_servers", "kafka:177171"),
    ("kafka_security_protocol", "hunter2"),
    ("kafka_sasl_mechanism", "hunter2"),
    ("kafka_ssl_ca_location", "/hunter2/ca.pem"),
    ("encryption_key", ""),
    ("encryption_key", "hunter2!"),
    ("encryption_key", "hunter2é"),
    ("encryption_key", a_key_text()[:-4]),
    ("encryption_key", a_key_text() + "AAAA"),
    ("encryption_keys_retired", "hunter2,"),
    ("encryption_keys_retired", f"{a_key_text()},hunter2"),
    ("pan_hash_key", "hunter2hunter2hunter2hunter2"),
    ("pan_holder_types", "hunter2"),
    ("pan_holder_types", ""),
    ("pan_holder_types", ","),
    ("pan_holder_types", "p"),
    ("pan_holder_types", "P,CH"),
    ("pan_holder_types", "any,P"),
    ("pan_holder_types", "1"),
    ("log_level", "hunter2"),
    ("log_level", "info"),
    ("service_name", ""),
    ("service_name", "hunter2" * 20),
    ("http_port", "hunter2"),
    ("http_port", "0"),
    ("http_port", "65536"),
    ("prometheus_port", "-17717"),
    ("prometheus_port", ""),
    ("shutdown_seconds", "0"),
    ("shutdown_seconds", "61717"),
    ("shutdown_seconds", "nan"),
    ("shutdown_seconds", "inf"),
    ("database_pool_size", "0"),
    ("database_pool_size", "17717"),
    ("write_batch_max", "1717"),
    ("waiting_max", "1.5"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_setting_is_named_in_one_line_that_does_not_repeat_it(name: str, value: str) -> None:
    settings: dict[str, Any] = {name: value}

    words = sentence(ApiSettings, **settings)

    assert words.startswith(f"Bad settings: {name.upper()} ")
    assert words.endswith(". See .env.example for every setting.")
    assert "\n" not in words
    assert not [bit for bit in ("hunter2", "17717", "1717", a_key_text()[:-4]) if bit in words]


@pytest.mark.parametrize(
    "url", ["postgresql://user:hunter2@host:port/db", "postgresql://user:hun/ter2@host/db", "postgresql://u:p@[::1/db"]
)
def test_an_address_that_cannot_be_parsed_is_a_bad_setting(url: str) -> None:
    assert sentence(database_url=url).startswith("Bad settings: DATABASE_URL ")


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (CreditSettings, "consumer_batch_max", 0),
        (CreditSettings, "dead_letters_in_a_row_max", 0),
        (DecisionSettings, "consumer_batch_max", 5001),
        (PublisherSettings, "publish_poll_seconds", 0),
        (PublisherSettings, "publish_in_flight_max", 0),
        (PublisherSettings, "lease_seconds", 0.5),
    ],
)
def test_a_workers_bad_setting_is_named(kind: type[ServiceSettings], name: str, value: object) -> None:
    assert sentence(kind, **{name: value}).startswith(f"Bad settings: {name.upper()} ")


def test_all_bad_settings_are_named_at_once() -> None:
    words = sentence(database_url=..., http_port="x", log_level="x")

    assert [name in words for name in ("DATABASE_URL", "HTTP_PORT", "LOG_LEVEL")] == [True, True, True]


@given(st.text(max_size=50))
def test_no_sentence_repeats_a_key(text: str) -> None:
    words = sentence(encryption_key="§" + text)

    assert words == sentence(encryption_key="§")


@pytest.mark.parametrize(
    ("length", "words"), [(0, "is 0 bytes"), (16, "is 16 bytes"), (31, "is 31 bytes"), (33, "is 33")]
)
def test_a_key_of_another_length_is_refused_with_its_length(length: int, words: str) -> None:
    text = base64.b64encode(bytes(length)).decode()

    assert words in sentence(encryption_key=text)
    assert "prequal keys generate" in sentence(encryption_key=text)


def test_a_good_key_is_its_32_bytes() -> None:
    assert key_bytes(SecretStr(a_key_text(9))) == a_key(9)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in good(http_port="9000").items():
        monkeypatch.setenv(name.upper(), value)

    assert load(ApiSettings).http_port == 9000


@pytest.mark.parametrize("name", ["PROMETHEUS_PORT", "HTTP_PORT", "SERVICE_NAME", "LOG_LEVEL", "LEASE_SECONDS"])
def test_empty_variable_is_unset(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for each, value in good().items():
        monkeypatch.setenv(each.upper(), value)
    monkeypatch.setenv(name, "")

    assert load(PublisherSettings) == load(PublisherSettings, **good())


def test_empty_variable_that_is_required_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "")

    with pytest.raises(Misconfigured, match="DATABASE_URL is missing"):
        load(DatabaseSettings)


def test_settings_come_from_the_env_file_and_the_environment_wins(
    bare_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = bare_environment / ".env"
    file.write_text(f"DATABASE_URL={DATABASE_URL}\nKAFKA_BOOTSTRAP_SERVERS=file:9092\nSOMETHING_ELSE=1\n")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "environment:9092")

    settings = load(StoresSettings)

    file.unlink()
    assert (settings.database_url, settings.kafka_bootstrap_servers) == (DATABASE_URL, "environment:9092")


def test_an_env_file_that_cannot_be_read_is_named(bare_environment: Path) -> None:
    file = bare_environment / ".env"
    file.write_bytes(b"DATABASE_URL=hunter2\xff\xfe\n")

    with pytest.raises(Misconfigured) as refused:
        load(DecisionSettings)

    file.unlink()
    assert str(refused.value) == f"The file {file} cannot be read: UnicodeDecodeError."


def a_folder(file: Path) -> None:
    file.mkdir()


def a_loop(file: Path) -> None:
    file.symlink_to(file)


def a_dead_end(file: Path) -> None:
    file.symlink_to(file.with_name("missing"))


@pytest.mark.parametrize("made", [a_folder, a_loop, a_dead_end])
def test_an_env_file_that_is_no_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Callable[[Path], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    made(tmp_path / ".env")

    with pytest.raises(Misconfigured) as refused:
        load(DecisionSettings, **good())

    assert str(refused.value) == (
        f"{tmp_path / '.env'} is a folder, or a link that leads nowhere: make it a file of settings, or remove it."
    )


def test_settings_show_neither_keys_nor_password() -> None:
    settings = load(ApiSettings, **good(encryption_keys_retired=a_key_text(3)))

    text = repr(settings) + str(settings)

    assert not [secret for secret in (a_key_text(1), a_key_text(2), a_key_text(3), "correct-horse") if secret in text]


def test_an_error_that_escaped_its_translation_would_not_repeat_the_setting() -> None:
    with pytest.raises(ValidationError) as escaped:
        DatabaseSettings.model_validate({"database_url": "hunter2"})

    assert "hunter2" not in str(escaped.value)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(DecisionSettings, **good()).http_port = 1


@pytest.mark.parametrize(
    "brokers", ["kafka:9092", "kafka-1.example:9092,kafka-2.example:9093", "10.0.0.1:1", "[::1]:9092"]
)
def test_one_or_several_brokers_are_taken(brokers: str) -> None:
    assert load(KafkaSettings, kafka_bootstrap_servers=brokers).kafka_bootstrap_servers == brokers


@pytest.mark.parametrize("brokers", ["nonsense", "", "kafka:9092,", "kafka 1:9092", "kafka:177171"])
def test_other_words_for_brokers_are_refused_in_words_of_our_own(brokers: str) -> None:
    assert sentence(PublisherSettings, kafka_bootstrap_servers=brokers) == (
        "Bad settings: KAFKA_BOOTSTRAP_SERVERS must be host:port, several of them comma-separated. "
        "See .env.example for every setting."
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_api_takes_calls_without_a_token_from_this_machine_alone(host: str) -> None:
    assert load(ApiSettings, **good()).api_authentication == "keys"
    assert load(ApiSettings, **good(api_authentication="none", http_host=host)).api_authentication == "none"


@pytest.mark.parametrize(
    ("given", "port"),
    [
        ({}, None),
        ({"http_host": "0.0.0.0"}, 8007),
        ({"console_admin_port": 9007}, 9007),
        ({"http_host": "0.0.0.0", "console_admin_port": 9007}, 9007),
    ],
)
def test_consoles_probes_have_a_port_of_their_own_where_others_reach_its_pages(
    given: dict[str, Any], port: int | None
) -> None:
    assert load(ConsoleSettings, **good(**given)).probes_port == port


def test_consoles_admin_port_is_another_than_its_pages() -> None:
    with pytest.raises(Misconfigured, match="CONSOLE_ADMIN_PORT is HTTP_PORT"):
        load(ConsoleSettings, **good(http_host="0.0.0.0", http_port=8007))


def test_admin_port_is_another_than_the_callers_where_they_need_a_token() -> None:
    with pytest.raises(Misconfigured, match="ADMIN_PORT is HTTP_PORT"):
        load(ApiSettings, **good(), admin_port=8000)

    assert load(ApiSettings, **good(), admin_port=8000, api_authentication="none").admin_port == 8000


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.0.2.7", "api.example", "localhost.example", "127.0.0.1.example"]
)
def test_api_that_others_reach_asks_for_tokens(host: str) -> None:
    said = sentence(api_authentication="none", http_host=host)

    assert "API_AUTHENTICATION=none is for a loopback address alone" in said
    assert load(ApiSettings, **good(http_host=host)).http_host == host


def test_one_key_for_both_purposes_is_refused() -> None:
    words = sentence(ApiSettings, encryption_key=a_key_text(1), pan_hash_key=a_key_text(1))

    assert "ENCRYPTION_KEY and PAN_HASH_KEY are the same key" in words
    assert "prequal keys generate" in words
    assert a_key_text(1) not in words


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"pan_hash_keys_retired": a_key_text(2)}, "PAN_HASH_KEYS_RETIRED holds PAN_HASH_KEY, or a key twice"),
        ({"pan_hash_keys_retired": f"{a_key_text(3)},{a_key_text(3)}"}, "holds PAN_HASH_KEY, or a key twice"),
        ({"pan_hash_keys_retired": a_key_text(1)}, "ENCRYPTION_KEY and PAN_HASH_KEYS_RETIRED are the same key"),
        ({"pan_hash_keys_retired": "AAAA"}, "PAN_HASH_KEYS_RETIRED is 3 bytes long, not 32"),
        ({"pan_hash_key": f"{a_key_text(2)},{a_key_text(3)}"}, "PAN_HASH_KEY is not base64"),
    ],
    ids=["active key retired", "key twice", "key of another use", "too short", "two active keys"],
)
def test_hash_keys_that_are_no_ring_are_refused_in_one_sentence(settings: dict[str, str], words: str) -> None:
    said = sentence(ApiSettings, **({"encryption_key": a_key_text(1), "pan_hash_key": a_key_text(2)} | settings))

    assert words in said
    assert "\n" not in said
    assert not [number for number in (1, 2, 3) if a_key_text(number) in said]


def test_key_of_reports_that_would_decrypt_pans_is_refused() -> None:
    words = sentence(CreditSettings, report_key=a_key_text(1))

    assert "ENCRYPTION_KEY and REPORT_KEY are the same key" in words


@pytest.mark.parametrize("url", ["postgresql://h/d", "postgres://u:p@h:5432/d"])
def test_both_spellings_of_a_postgresql_address_are_taken(url: str) -> None:
    assert load(DatabaseSettings, database_url=url).database_url == url


@pytest.mark.parametrize(
    ("text", "words"), [("", []), (",", []), ("P", ["P"]), (" P , C,", ["P", "C"]), ("a b,c", ["a b", "c"])]
)
def test_a_list_is_split_at_commas_and_trimmed(text: str, words: list[str]) -> None:
    assert split(text) == words


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
@pytest.mark.parametrize("half", [{}, {"kafka_sasl_username": "prequal"}, {"kafka_sasl_password": "hunter2"}])
def test_sasl_without_a_user_and_a_password_is_a_bad_setting(protocol: str, half: dict[str, str]) -> None:
    words = sentence(PublisherSettings, kafka_security_protocol=protocol, **half)

    assert words == (
        f"Bad settings: KAFKA_SECURITY_PROTOCOL={protocol} needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD_FILE, or "
        f"KAFKA_SASL_PASSWORD. See .env.example for every setting."
    )


def test_simulated_bureau_which_is_sent_pans_by_anybody_is_on_a_loopback_address_alone() -> None:
    assert load(SimulatorSettings, http_host="::1").http_host == "::1"
    for host in ("0.0.0.0", "192.0.2.7", "bureau"):
        with pytest.raises(Misconfigured, match="asks nobody who he is"):
            load(SimulatorSettings, http_host=host)


def a_file(folder: Path, text: str = "hunter2", mode: int = 0o600) -> str:
    file = folder / f"file-{mode:o}"
    file.write_text(text)
    file.chmod(mode)
    return str(file)


def test_password_of_the_brokers_is_that_of_the_file_as_it_is_now(tmp_path: Path) -> None:
    user = {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_username": "prequal"}
    settings = load(KafkaSettings, **good(**user, kafka_sasl_password_file=a_file(tmp_path, "before\n")))

    assert settings.sasl_password == "before"
    a_file(tmp_path, "after\n")
    assert settings.sasl_password == "after"


SASL = {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_username": "prequal"}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            SASL | {"kafka_sasl_password": "hunter2", "kafka_sasl_password_file": 0o600},
            "KAFKA_SASL_PASSWORD_FILE is set beside KAFKA_SASL_PASSWORD: keep one",
        ),
        (
            SASL | {"kafka_sasl_password_file": 0o604},
            "KAFKA_SASL_PASSWORD_FILE names a file that everybody may read: chmod 600, or 640 with a group of its own",
        ),
        (
            SASL | {"kafka_sasl_password": "hunter2", "kafka_ssl_ca_location": 0o644},
            "KAFKA_SSL_CA_LOCATION names a file that holds no certificate in PEM",
        ),
        (
            {"kafka_sasl_username": "prequal", "kafka_sasl_password": "hunter2"},
            "KAFKA_SECURITY_PROTOCOL=PLAINTEXT proves no user: set SASL_SSL, or unset KAFKA_SASL_USERNAME and its "
            "password",
        ),
        (
            {"kafka_security_protocol": "SSL", "kafka_sasl_password_file": 0o600},
            "KAFKA_SECURITY_PROTOCOL=SSL proves no user: set SASL_SSL, or unset KAFKA_SASL_USERNAME and its password",
        ),
        (
            {"kafka_ssl_certificate_location": 0o644},
            "KAFKA_SECURITY_PROTOCOL=PLAINTEXT encrypts nothing: set SASL_SSL or SSL, or unset the KAFKA_SSL_… files",
        ),
        (
            {"kafka_security_protocol": "SSL", "kafka_ssl_certificate_location": 0o644},
            "KAFKA_SSL_CERTIFICATE_LOCATION and KAFKA_SSL_KEY_LOCATION belong together: set both, or neither",
        ),
        (
            {
                "kafka_security_protocol": "SSL",
                "kafka_ssl_certificate_location": 0o644,
                "kafka_ssl_key_location": 0o600,
            },
            "KAFKA_SSL_CERTIFICATE_LOCATION and KAFKA_SSL_KEY_LOCATION are no certificate in PEM and its key",
        ),
    ],
)
def test_settings_of_the_brokers_that_do_not_fit_together_are_refused(
    tmp_path: Path, wrong: dict[str, str | int], words: str
) -> None:
    given = {name: a_file(tmp_path, mode=each) if isinstance(each, int) else each for name, each in wrong.items()}

    assert sentence(PublisherSettings, **given) == f"Bad settings: {words}. See .env.example for every setting."


@pytest.mark.parametrize("half", ["http_certificate_file", "http_key_file"])
def test_certificate_for_callers_comes_with_its_key(tmp_path: Path, half: str) -> None:
    words = sentence(ApiSettings, **{half: a_file(tmp_path)})

    assert "HTTP_CERTIFICATE_FILE and HTTP_KEY_FILE belong together: set both, or neither" in words


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("sslmode=verify-full", "checks the server's certificate and names no authority: add sslrootcert=FILE"),
        ("sslmode=verify-full&sslrootcert=", "names a file that holds no certificate in PEM, in sslrootcert"),
    ],
)
def test_address_of_the_database_that_checks_a_certificate_names_an_authority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str, words: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file = a_file(tmp_path) if query.endswith("=") else ""

    assert f"DATABASE_URL {words}" in sentence(ApiSettings, database_url=f"{DATABASE_URL}?{query}{file}")


def test_passwords_of_the_brokers_are_never_shown() -> None:
    settings = load(
        KafkaSettings,
        **good(
            **SASL,
            kafka_sasl_password="hunter2",
            kafka_ssl_key_password="hunter3",
        ),
    )

    assert "hunter" not in repr(settings) + str(settings) + settings.model_dump_json()


@pytest.mark.parametrize(
    "url",
    [
        "hunter2",
        "http://hunter2.example/reports",
        "https://user:hunter2@bureau.example/reports",
        "https://bureau.example/reports?key=hunter2",
        "ftp://127.0.0.1/hunter2",
    ],
)
def test_pans_are_sent_over_https_or_to_this_machine_alone(url: str) -> None:
    words = sentence(CreditSettings, bureau_url=url)

    assert words.startswith("Bad settings: BUREAU_URL must")
    assert "hunter2" not in words


@pytest.mark.parametrize("name", ["api_jwt_issuer", "api_jwt_jwks_url"])
@pytest.mark.parametrize(
    "url", ["http://issuer.example", "issuer.example", "ftp://issuer.example", "https://a:hunter2@issuer.example"]
)
def test_issuer_that_is_not_asked_over_tls_is_refused(name: str, url: str) -> None:
    words = sentence(ApiSettings, **{"api_jwt_audience": "prequal", name: url})

    assert words.startswith(f"Bad settings: {name.upper()} must")
    assert "hunter2" not in words


def test_issuer_without_an_audience_is_refused() -> None:
    assert "API_JWT_AUDIENCE is missing" in sentence(api_jwt_issuer="https://issuer.example")


OIDC = {
    "oidc_issuer": "https://issuer.example",
    "oidc_client_id": "console",
    "oidc_client_secret": "hunter2",
    "oidc_redirect_uri": "https://console.example/sign-in/callback",
}


@pytest.mark.parametrize("missing", OIDC)
def test_sign_in_by_an_issuer_is_set_as_a_whole(missing: str) -> None:
    words = sentence(ConsoleSettings, **OIDC | {missing: ""})

    assert f"{missing.upper()} is missing beside" in words
    assert "hunter2" not in words


@pytest.mark.parametrize(
    "uri",
    ["http://console.example/sign-in/callback", "https://console.example/", "https://a:hunter2@a/sign-in/callback"],
)
def test_issuer_leads_back_to_the_console_over_tls_alone(uri: str) -> None:
    words = sentence(ConsoleSettings, **OIDC | {"oidc_redirect_uri": uri})

    assert words.startswith("Bad settings: OIDC_REDIRECT_URI must")
    assert "hunter2" not in words


def test_some_way_to_sign_in_is_left() -> None:
    assert "OIDC_ISSUER is missing" in sentence(ConsoleSettings, console_passwords=False)


@pytest.mark.parametrize("url", ["", "https://bureau.example/v1/reports", "http://127.0.0.1:8006/reports"])
def test_bureau_may_be_reached_so(url: str) -> None:
    assert load(CreditSettings, **good(bureau_url=url)).bureau_url == url


def test_every_role_of_the_database_may_be_given_a_password() -> None:
    given = {field.removesuffix("_database_password") for field in RolesSettings.model_fields}

    assert given >= {role.removeprefix("prequal_") for role in Role}
