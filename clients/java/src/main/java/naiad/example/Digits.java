package naiad.example;

import com.google.protobuf.ByteString;
import inference.GRPCInferenceServiceGrpc;
import inference.GRPCInferenceServiceGrpc.GRPCInferenceServiceBlockingStub;
import inference.GrpcService.ModelInferRequest;
import inference.GrpcService.ModelInferResponse;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Which digit is in a picture? Asks the sample model {@code digits} of a server, and checks that it sees the one that
 * it is.
 *
 * <p>Tensors travel as raw bytes, row-major and little-endian.
 */
public final class Digits {
  private static final long TIMEOUT_SECONDS = 30;

  /** A handwritten zero in 8 x 8 pixels, rows from the top; ink from 0 to 16. */
  private static final float[] ZERO = {
    0, 0, 5, 13, 9, 1, 0, 0,
    0, 0, 13, 15, 10, 15, 5, 0,
    0, 3, 15, 2, 0, 11, 8, 0,
    0, 4, 12, 0, 0, 8, 8, 0,
    0, 5, 8, 0, 0, 9, 8, 0,
    0, 4, 11, 0, 1, 12, 7, 0,
    0, 2, 14, 5, 10, 12, 0, 0,
    0, 0, 6, 13, 10, 0, 0, 0,
  };

  private final GRPCInferenceServiceBlockingStub service;

  private Digits(ManagedChannel channel) {
    service = GRPCInferenceServiceGrpc.newBlockingStub(channel);
  }

  public static void main(String[] arguments) throws InterruptedException {
    String address = arguments.length > 0 ? arguments[0] : "localhost:8001";
    ManagedChannel channel = Grpc.newChannelBuilder(address, InsecureChannelCredentials.create()).build();
    try {
      Digits digits = new Digits(channel);
      digits.checkDigit();
      digits.checkEcho();
      digits.checkUnknownModel();
    } finally {
      channel.shutdownNow().awaitTermination(TIMEOUT_SECONDS, TimeUnit.SECONDS);
    }
  }

  private void checkDigit() {
    Map<String, ByteBuffer> outputs = infer("digits", "image", List.of(1L, 8L, 8L), ZERO);
    int digit = (int) outputs.get("label").getLong();
    float probability = outputs.get("probabilities").getFloat(Float.BYTES * digit);
    check(digit == 0, "expected digit 0, got " + digit);
    System.out.printf("digit %d (%.1f %%)%n", digit, 100 * probability);
  }

  private void checkEcho() {
    float[] sent = {1.5f, -2, 0.25f};
    float[] got = new float[sent.length];
    infer("echo", "INPUT0", List.of(1L, 3L), sent).get("OUTPUT0").asFloatBuffer().get(got);
    check(Arrays.equals(sent, got), "expected " + Arrays.toString(sent) + ", got " + Arrays.toString(got));
    System.out.println("echo answers what it was sent");
  }

  private void checkUnknownModel() {
    try {
      infer("nothing", "x", List.of(1L), new float[] {1});
    } catch (StatusRuntimeException error) {
      check(error.getStatus().getCode() == Status.Code.NOT_FOUND, "expected NOT_FOUND, got " + error.getStatus());
      System.out.println("a model that there is not is NOT_FOUND");
      return;
    }
    throw new IllegalStateException("expected NOT_FOUND for a model that there is not, got an answer");
  }

  /** Sends one FP32 input and returns the bytes of each output by its name. */
  private Map<String, ByteBuffer> infer(String model, String input, List<Long> shape, float[] values) {
    ByteBuffer raw = ByteBuffer.allocate(Float.BYTES * values.length).order(ByteOrder.LITTLE_ENDIAN);
    raw.asFloatBuffer().put(values);
    ModelInferRequest request =
        ModelInferRequest.newBuilder()
            .setModelName(model)
            .addInputs(
                ModelInferRequest.InferInputTensor.newBuilder().setName(input).setDatatype("FP32").addAllShape(shape))
            .addRawInputContents(ByteString.copyFrom(raw))
            .build();
    ModelInferResponse response = service.withDeadlineAfter(TIMEOUT_SECONDS, TimeUnit.SECONDS).modelInfer(request);
    Map<String, ByteBuffer> outputs = new HashMap<>();
    for (int at = 0; at < response.getOutputsCount(); at++) {
      ByteBuffer bytes = response.getRawOutputContents(at).asReadOnlyByteBuffer();
      outputs.put(response.getOutputs(at).getName(), bytes.order(ByteOrder.LITTLE_ENDIAN));
    }
    return outputs;
  }

  private static void check(boolean holds, String otherwise) {
    if (!holds) {
      throw new IllegalStateException(otherwise);
    }
  }
}
