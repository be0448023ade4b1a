"""What a setting may hold: the kinds of values that several tables share, and what every table is."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, StringConstraints

from bridge.settings.sources import check_organization_id, check_web_address, read_secret

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Secret = Annotated[SecretStr, BeforeValidator(read_secret)]
WebAddress = Annotated[str, AfterValidator(check_web_address)]
OrganizationId = Annotated[str, AfterValidator(check_organization_id)]
Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(gt=0)]
Duration = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Size = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class Section(BaseModel):
    """One table of the file: nothing unknown, nothing converted, nothing changed later."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True
    )
