// Which digit is in a picture? Asks the sample model `digits` of a server, and checks that it sees the one that it is.
//
//     node digits.js [HOST:PORT]
//
// The protocol is read from protos/ when the program starts; no code is generated. Tensors travel as raw bytes,
// row-major and little-endian: a Buffer over a typed array on every platform that Node.js runs on.
"use strict";

const assert = require("node:assert/strict");
const path = require("node:path");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const PROTOS = path.join(__dirname, "..", "..", "protos");
const SECONDS = 30;

// A handwritten zero in 8 x 8 pixels, rows from the top; ink from 0 to 16.
const ZERO = Float32Array.from([
  0, 0, 5, 13, 9, 1, 0, 0,
  0, 0, 13, 15, 10, 15, 5, 0,
  0, 3, 15, 2, 0, 11, 8, 0,
  0, 4, 12, 0, 0, 8, 8, 0,
  0, 5, 8, 0, 0, 9, 8, 0,
  0, 4, 11, 0, 1, 12, 7, 0,
  0, 2, 14, 5, 10, 12, 0, 0,
  0, 0, 6, 13, 10, 0, 0, 0,
]);

const definition = loader.loadSync("grpc_service.proto", { includeDirs: [PROTOS], keepCase: true, longs: Number });
const { inference } = grpc.loadPackageDefinition(definition);

// Infer one input and resolve to the outputs by name: { shape, bytes }.
function infer(client, model, name, datatype, shape, values) {
  const request = {
    model_name: model,
    inputs: [{ name, datatype, shape }],
    raw_input_contents: [Buffer.from(values.buffer, values.byteOffset, values.byteLength)],
  };
  const deadline = new Date(Date.now() + SECONDS * 1000);
  return new Promise((resolve, reject) => {
    client.ModelInfer(request, { deadline }, (error, response) => {
      if (error) {
        reject(error);
        return;
      }
      const outputs = response.outputs.map((output, at) => [
        output.name,
        { shape: output.shape, bytes: response.raw_output_contents[at] },
      ]);
      resolve(Object.fromEntries(outputs));
    });
  });
}

async function main(address) {
  const client = new inference.GRPCInferenceService(address, grpc.credentials.createInsecure());
  try {
    const { label, probabilities } = await infer(client, "digits", "image", "FP32", [1, 8, 8], ZERO);
    const digit = Number(label.bytes.readBigInt64LE());
    const probability = probabilities.bytes.readFloatLE(4 * digit);
    console.log(`digit ${digit} (${(100 * probability).toFixed(1)} %)`);
    assert.equal(digit, 0);

    const sent = Float32Array.from([1.5, -2, 0.25]);
    const { OUTPUT0: echoed } = await infer(client, "echo", "INPUT0", "FP32", [1, 3], sent);
    assert.deepEqual(echoed.shape, [1, 3]);
    assert.deepEqual([0, 4, 8].map((at) => echoed.bytes.readFloatLE(at)), Array.from(sent));
    console.log("echo answers what it was sent");

    await assert.rejects(infer(client, "nothing", "x", "FP32", [1], sent), { code: grpc.status.NOT_FOUND });
    console.log("a model that there is not is NOT_FOUND");
  } finally {
    client.close();
  }
}

main(process.argv[2] || "localhost:8001").catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
