"""Asks a server as server.py has it with KServe's Python SDK: by both versions of its protocol over HTTPS, and over gRPC with
TLS. What holds is a line each.

It is no part of ask_triton.py, as the two clients cannot be in one process: each has the protocol's messages for itself.
"""

import asyncio
import base64
import logging
import ssl

import grpc
import httpx
import kserve
import numpy as np
from kserve.constants.constants import PredictorProtocol

from server import CA, DIGIT, GRPC, REST, ROWS, authorization, check, is_pair, is_three


def rest(protocol):
    """Returns a client over HTTPS that trusts the authority, and nobody else."""
    trust = ssl.create_default_context(cafile=CA)
    return kserve.InferenceRESTClient(kserve.RESTConfig(protocol=protocol.value, verify=trust, retries=0))


def request(model, name, shape, datatype, data, binary=True):
    """Returns a request of one input."""
    tensor = kserve.InferInput(name, shape, datatype)
    tensor.set_data_from_numpy(data, binary_data=binary)
    return kserve.InferRequest(model_name=model, infer_inputs=[tensor])


def rows_request(binary):
    return request("pair", "x", list(ROWS.shape), "FP32", ROWS, binary)


def picture_request():
    return request("mnist", "input", [1], "BYTES", np.array([DIGIT], np.object_))


async def expect(status, failure, call):
    """Asserts that a call fails with a status."""
    try:
        await call
    except failure as error:
        got = error.code() if failure is grpc.RpcError else error.response.status_code
        assert got == status, f"{got}, want {status}: {error}"
    else:
        raise AssertionError(f"it is answered, want {status}")


async def ask_v1():
    instances = {"instances": [{"b64": base64.b64encode(DIGIT).decode()}] * 2}
    client = rest(PredictorProtocol.REST_V1)
    with check("kserve v1: the model is ready"):
        assert await client.is_model_ready(REST, "mnist", headers=authorization())
    with check("kserve v1: predict"):
        answer = await client.infer(REST, instances, model_name="mnist", headers=authorization())
        assert answer == {"predictions": [3, 3]}, answer
    with check("kserve v1: explain"):
        answer = await client.explain(REST, "mnist", instances, headers=authorization())
        assert np.array(answer["explanations"]).shape == (2, 1, 28, 28), answer
    with check("kserve v1: refusals"):
        await expect(401, httpx.HTTPStatusError, client.infer(REST, instances, model_name="mnist"))
        await expect(404, httpx.HTTPStatusError, client.infer(REST, instances, model_name="nobody", headers=authorization()))
    await client.close()


async def ask_v2():
    client = rest(PredictorProtocol.REST_V2)
    with check("kserve v2: server and model are ready"):
        assert await client.is_server_live(REST) and await client.is_server_ready(REST)
        assert await client.is_model_ready(REST, "mnist", headers=authorization())
    with check("kserve v2: infer, in JSON and in binary data"):
        for binary in (False, True):
            answer = await client.infer(REST, rows_request(binary), model_name="pair", headers=authorization())
            is_pair(*(output.as_numpy() for output in answer.outputs))
    with check("kserve v2: a picture as BYTES"):
        answer = await client.infer(REST, picture_request(), model_name="mnist", headers=authorization())
        is_three(answer.outputs[0].as_numpy())
    with check("kserve v2: refusals"):
        await expect(401, httpx.HTTPStatusError, client.infer(REST, rows_request(True), model_name="pair"))
    await client.close()


async def ask_grpc():
    metadata = tuple(authorization().items())
    async with kserve.InferenceGRPCClient(GRPC, use_ssl=True, root_certificates=CA, retries=0) as client:
        with check("kserve over gRPC: server and model are ready"):
            assert await client.is_server_live() and await client.is_server_ready()
            assert await client.is_model_ready("mnist", headers=metadata)
        with check("kserve over gRPC: infer, and a picture as BYTES"):
            answer = await client.infer(rows_request(binary=True), headers=metadata)
            is_pair(*(output.as_numpy() for output in answer.outputs))
            answer = await client.infer(picture_request(), headers=metadata)
            is_three(answer.outputs[0].as_numpy())
        logging.getLogger("kserve.trace").setLevel(logging.CRITICAL)  # it tells of each failure as of a defect
        with check("kserve over gRPC: refusals"):
            await expect(grpc.StatusCode.UNAUTHENTICATED, grpc.RpcError, client.is_model_ready("mnist"))


async def main():
    await ask_v1()
    await ask_v2()
    await ask_grpc()


if __name__ == "__main__":
    asyncio.run(main())
