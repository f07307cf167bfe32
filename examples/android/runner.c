// SPDX-License-Identifier: Apache-2.0
// The runner that edgewright's adb device calls on a phone, over LiteRT's C API (tensorflow/lite/c/c_api.h).
//
//   runner --model=FILE --inputs=FILE --threads=N --outputs=FILE
//   runner --model=FILE --inputs=FILE --threads=N --latencies=FILE --warmup=N --invocations=N
//
// Inputs are samples as the file's one input takes them, back to back; outputs are what its first output then holds, back to
// back. Latencies are a line "latency_ms", then one inference a line. Arguments it does not know are ignored.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tensorflow/lite/c/c_api.h"

static int count_of_arguments;
static char **arguments;

static const char *asked(const char *name) {
  size_t length = strlen(name);
  for (int at = 1; at < count_of_arguments; at++)
    if (!strncmp(arguments[at], "--", 2) && !strncmp(arguments[at] + 2, name, length) && arguments[at][2 + length] == '=')
      return arguments[at] + 3 + length;
  return NULL;
}

static int number(const char *name) { return asked(name) ? atoi(asked(name)) : 0; }

static void must(int holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "runner: %s\n", what);
  exit(1);
}

static double milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static char *content(const char *name, size_t *size) {
  FILE *file = fopen(name, "rb");
  must(file != NULL, "the inputs cannot be opened");
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  char *bytes = malloc(*size + 1);
  must(bytes && fread(bytes, 1, *size, file) == *size, "the inputs cannot be read");
  fclose(file);
  return bytes;
}

int main(int count, char **words) {
  count_of_arguments = count, arguments = words;
  must(asked("model") && asked("inputs"), "--model and --inputs are needed");
  TfLiteModel *model = TfLiteModelCreateFromFile(asked("model"));
  must(model != NULL, "the model cannot be read");
  TfLiteInterpreterOptions *options = TfLiteInterpreterOptionsCreate();
  TfLiteInterpreterOptionsSetNumThreads(options, number("threads"));
  TfLiteInterpreter *interpreter = TfLiteInterpreterCreate(model, options);
  must(interpreter && TfLiteInterpreterAllocateTensors(interpreter) == kTfLiteOk, "the model cannot be prepared");
  TfLiteTensor *input = TfLiteInterpreterGetInputTensor(interpreter, 0);
  size_t each = TfLiteTensorByteSize(input), size = 0;
  char *samples = content(asked("inputs"), &size);
  must(each > 0 && size > 0 && size % each == 0, "the inputs are no whole number of samples");
  size_t many = size / each;

  if (asked("outputs")) {
    FILE *out = fopen(asked("outputs"), "wb");
    must(out != NULL, "the outputs cannot be written");
    for (size_t at = 0; at < many; at++) {
      must(TfLiteTensorCopyFromBuffer(input, samples + at * each, each) == kTfLiteOk, "an input was refused");
      must(TfLiteInterpreterInvoke(interpreter) == kTfLiteOk, "an inference failed");
      const TfLiteTensor *output = TfLiteInterpreterGetOutputTensor(interpreter, 0);
      size_t bytes = TfLiteTensorByteSize(output);
      must(fwrite(TfLiteTensorData(output), 1, bytes, out) == bytes, "the outputs cannot be written");
    }
    must(fclose(out) == 0, "the outputs cannot be written");
  }
  if (asked("latencies")) {
    FILE *out = fopen(asked("latencies"), "w");
    must(out != NULL, "the latencies cannot be written");
    fprintf(out, "latency_ms\n");
    for (int turn = -number("warmup"); turn < number("invocations"); turn++) {
      must(TfLiteTensorCopyFromBuffer(input, samples + (size_t)abs(turn) % many * each, each) == kTfLiteOk, "an input was refused");
      double started = milliseconds();
      must(TfLiteInterpreterInvoke(interpreter) == kTfLiteOk, "an inference failed");
      if (turn >= 0) fprintf(out, "%.6f\n", milliseconds() - started);
    }
    must(fclose(out) == 0, "the latencies cannot be written");
  }
  return 0;
}
