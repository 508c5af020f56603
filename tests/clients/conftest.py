"""The served application, for the programs of the clients' READMEs."""

from tests.api.conftest import api as api
from tests.api.conftest import database_url as database_url
