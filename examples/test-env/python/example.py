"""Calls a test server with grpcio: python example.py ADDRESS TOKEN

The modules come from the protocol's files:
python -m grpc_tools.protoc -I proto --python_out=. --grpc_python_out=. proto/*.proto
"""

import hashlib
import hmac
import sys
import time

import grpc
import repository_pb2 as messages
import repository_pb2_grpc as services
import shared_pb2 as shared

address, token = sys.argv[1:]


def credentials():
    """Returns the metadata of one call: a signature, valid for half a minute."""
    now = str(int(time.time()))
    signature = hmac.new(token.encode(), now.encode(), hashlib.sha256).hexdigest()
    return [("authorization", f"Bearer v2.{signature}.{now}")]


with grpc.insecure_channel(address.removeprefix("tcp://")) as channel:
    repositories = services.RepositoryServiceStub(channel)
    repository = shared.Repository(storage_name="default", relative_path="python.git")
    repositories.CreateRepository(
        messages.CreateRepositoryRequest(repository=repository), metadata=credentials()
    )
    answer = repositories.RepositoryExists(
        messages.RepositoryExistsRequest(repository=repository), metadata=credentials()
    )
    print("exists:", answer.exists)
