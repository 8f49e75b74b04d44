import ssl

import pytest

from prequal.postgres.primary import tls_refusal


def a_verification_error(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError()
    error.verify_code, error.verify_message = code, "unable to get local issuer certificate"
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (a_verification_error(62), "The certificate of PostgreSQL is not for the host's name in DATABASE_URL."),
        (a_verification_error(64), "The certificate of PostgreSQL is not for the host's name in DATABASE_URL."),
        (
            a_verification_error(20),
            "The certificate of PostgreSQL is refused by the authority of sslrootcert: unable to get local issuer "
            "certificate.",
        ),
        (
            ConnectionError('PostgreSQL server at "db:5432" rejected SSL upgrade'),
            "PostgreSQL does not speak TLS, which sslmode in DATABASE_URL demands.",
        ),
        (ConnectionRefusedError("nobody listens"), None),
    ],
)
def test_server_that_does_not_prove_itself_is_not_taken_for_one_that_is_away(
    error: BaseException, words: str | None
) -> None:
    assert tls_refusal(error) == words
