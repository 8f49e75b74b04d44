"""The bodies of sign-in and session."""

from pydantic import BaseModel, Field, SecretStr

from prequal.console.api.models import StrictBody
from prequal.domain.person import PersonRole


class Credentials(StrictBody):
    """What a person signs in with."""

    name: str = Field(max_length=100)
    password: SecretStr
    code: str = Field("", max_length=20, description="Of the second factor; empty without one.")


class IssuerAttempt(StrictBody):
    """Where one waits for what the issuer sends back."""

    port: int = Field(ge=1024, le=65535, description="Of 127.0.0.1, on the machine of the browser.")


class BegunAttempt(BaseModel):
    """A sign-in by the issuer has begun."""

    attempt: str = Field(description="To be kept to oneself, and sent with what comes to the port.")
    address: str = Field(description="Of the issuer, to be opened in a browser.")


class IssuerAnswer(StrictBody):
    """What the issuer sent to the port, by the names of its parameters."""

    attempt: str = Field(max_length=2000)
    state: str = Field("", max_length=200)
    code: str = Field("", max_length=4000, description="Empty where the issuer refused.")
    iss: str | None = Field(None, max_length=500)


class SignedIn(BaseModel):
    """A session has begun."""

    token: str
    person: str
    roles: list[PersonRole]


class Person(BaseModel):
    """A signed-in person."""

    person: str
    roles: list[PersonRole]
    rights: list[str]
