// SPDX-License-Identifier: Apache-2.0
// What runner.c needs of tensorflow/lite/c/c_api.h, with a model that adds 1 to 72 floats behind it: LiteRT's own library for
// C is in no package here.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
typedef struct TfLiteModel TfLiteModel;
typedef struct TfLiteInterpreterOptions TfLiteInterpreterOptions;
typedef struct TfLiteInterpreter TfLiteInterpreter;
typedef struct TfLiteTensor TfLiteTensor;
typedef enum { kTfLiteOk = 0, kTfLiteError = 1 } TfLiteStatus;
static float values[2][72];
static TfLiteModel *TfLiteModelCreateFromFile(const char *name) {
  FILE *file = fopen(name, "rb");
  return file && !fclose(file) ? (TfLiteModel *)values : NULL;
}
static TfLiteInterpreterOptions *TfLiteInterpreterOptionsCreate(void) { return NULL; }
static void TfLiteInterpreterOptionsSetNumThreads(TfLiteInterpreterOptions *options, int threads) { (void)options, (void)threads; }
static TfLiteInterpreter *TfLiteInterpreterCreate(const TfLiteModel *model, const TfLiteInterpreterOptions *options) {
  return (void)options, (TfLiteInterpreter *)model;
}
static TfLiteStatus TfLiteInterpreterAllocateTensors(TfLiteInterpreter *one) { return one ? kTfLiteOk : kTfLiteError; }
static TfLiteTensor *TfLiteInterpreterGetInputTensor(const TfLiteInterpreter *one, int index) {
  return (void)one, (TfLiteTensor *)values[index];
}
static const TfLiteTensor *TfLiteInterpreterGetOutputTensor(const TfLiteInterpreter *one, int index) {
  return (void)one, (TfLiteTensor *)values[index + 1];
}
static size_t TfLiteTensorByteSize(const TfLiteTensor *tensor) { return (void)tensor, sizeof values[0]; }
static void *TfLiteTensorData(const TfLiteTensor *tensor) { return (void *)tensor; }
static TfLiteStatus TfLiteTensorCopyFromBuffer(TfLiteTensor *tensor, const void *data, size_t size) {
  return size == sizeof values[0] ? (memcpy(tensor, data, size), kTfLiteOk) : kTfLiteError;
}
static TfLiteStatus TfLiteInterpreterInvoke(TfLiteInterpreter *one) {
  (void)one;
  for (int at = 0; at < 72; at++) values[1][at] = values[0][at] + 1;
  return kTfLiteOk;
}
