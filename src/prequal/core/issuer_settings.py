"""The settings of the issuers whose tokens are taken.

Invariant: an issuer is asked over TLS, or on this machine: its keys decide who is let in.
"""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_settings import BaseSettings

from prequal.core import setting_checks as checks

IssuerAddress = Annotated[str, AfterValidator(checks.issuer)]


class ApiIssuerSettings(BaseSettings):
    """Whose tokens the API's clients may send in place of our own."""

    api_jwt_issuer: IssuerAddress = Field(
        "",
        description="https://host/path of an issuer whose access tokens (JWT) are taken beside our own, as its `iss` "
        "spells it; http:// on a loopback address alone. Empty: none.",
    )
    api_jwt_audience: str = Field(
        "", max_length=500, description="The `aud` of such a token: this API, as the issuer knows it. Required with it."
    )
    api_jwt_jwks_url: IssuerAddress = Field(
        "", description="https://host/path of the issuer's keys (JWKS); found by its discovery document if empty."
    )
    api_jwt_client_claim: Literal["client_id", "azp", "sub"] = Field(
        "client_id", description="The claim that names the client, as `prequal clients identity` is given it."
    )

    @model_validator(mode="after")
    def _has_an_audience(self) -> Self:
        if self.api_jwt_issuer and not self.api_jwt_audience:
            raise ValueError("API_JWT_AUDIENCE is missing beside API_JWT_ISSUER")
        return self
