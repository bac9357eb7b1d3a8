from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from support.served import BASE
from voicefit.serving.app import create_app
from voicefit.serving.limits import Limits
from voicefit.serving.service import Service, open_served


@pytest.fixture
def service(start) -> Iterator[Service]:
    made = Service(open_served(str(start)), Limits())
    yield made
    made.close()


@pytest.fixture
def client(service) -> Iterator[TestClient]:
    with TestClient(create_app(service), BASE) as found:
        yield found
