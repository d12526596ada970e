/* Classify recordings by a student of Earshot, with nothing but ONNX Runtime.

       cc -O2 -o earshot_edge earshot_edge.c -lonnxruntime -lm
       ./earshot_edge model.onnx recording.wav [...]

   Reads WAV files of 16 bits, and prints a line for each: its name, its label or why it has none,
   and the label's probability. Answers as earshot_edge.py does, and the service's checkpoint
   `edge`: the graph computes its spectrogram itself; labels, limits and temperatures are in its
   metadata. */

#include <math.h>
#include <onnxruntime_c_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MIN_SAMPLE_RATE = 4000, MAX_SAMPLE_RATE = 768000, MAX_CHANNELS = 32, MAX_LABELS = 1000 };
static const double SILENCE = 1e-4;         /* samples that swing by less are silent: -80 dB */
static const double MIN_TAIL = 1.0 / 64;    /* of a clip: a shorter rest is no clip of its own */
static const double CANCELLED = 0.1;        /* of the power that channels should add up to */
static const size_t PIECE = 65536;          /* samples over which channels are compared */
static const size_t PARTS = 8;              /* of a clip, each of which may be silent */
static const double ZERO_CROSSINGS = 24;    /* of the resampler's sinc, on either side */
static const double ROLL_OFF = 0.945;       /* of the lower Nyquist frequency */
static const double BETA = 10;              /* of the Kaiser window */
static const double PI = 3.14159265358979323846;

static const OrtApi *ort;

typedef struct {
    size_t frames, channels;
    long rate;
    float *samples; /* interleaved, in -1..1 */
} Sound;

typedef struct {
    OrtSession *session;
    OrtAllocator *allocator;
    char *labels[MAX_LABELS];
    size_t count;
    long rate;
    size_t clip, hop;
    bool repeats;
    double temperature, shortest, threshold;
    char *ood_reason;   /* NULL: every clip that can be heard has a label */
    char *temperatures; /* lines of seconds and temperature, rising; NULL: there is only one */
} Student;

static void fail(const char *words) {
    fprintf(stderr, "earshot_edge: %s\n", words);
    exit(2);
}

static void check(OrtStatus *status) {
    if (status != NULL) fail(ort->GetErrorMessage(status));
}

static void *allocate(size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size);
    if (memory == NULL) fail("out of memory");
    return memory;
}

/* Return a value of the graph's metadata, NULL where there is none. */
static char *look_up(const OrtModelMetadata *metadata, OrtAllocator *allocator, const char *key) {
    char *value = NULL;
    check(ort->ModelMetadataLookupCustomMetadataMap(metadata, allocator, key, &value));
    return value;
}

static double number(const OrtModelMetadata *metadata, OrtAllocator *allocator, const char *key,
                     double missing) {
    const char *value = look_up(metadata, allocator, key);
    return value == NULL ? missing : atof(value);
}

static Student load(const char *path) {
    Student student = {0};
    OrtEnv *environment;
    OrtSessionOptions *options;
    OrtModelMetadata *metadata;
    check(ort->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "earshot", &environment));
    check(ort->CreateSessionOptions(&options));
    check(ort->SetIntraOpNumThreads(options, 1));
    check(ort->DisableMemPattern(options));
    check(ort->CreateSession(environment, path, options, &student.session));
    check(ort->GetAllocatorWithDefaultOptions(&student.allocator));
    check(ort->SessionGetModelMetadata(student.session, &metadata));
    char *labels = look_up(metadata, student.allocator, "labels");
    if (labels == NULL) fail("not a student of Earshot (models_store/TASK/edge)");
    for (char *label = strtok(labels, "\n"); label != NULL; label = strtok(NULL, "\n")) {
        if (student.count == MAX_LABELS) fail("the network has too many labels");
        student.labels[student.count++] = label;
    }
    OrtAllocator *allocator = student.allocator;
    student.rate = (long)number(metadata, allocator, "sample_rate", 0);
    student.clip = (size_t)number(metadata, allocator, "clip_samples", 0);
    student.hop = (size_t)number(metadata, allocator, "clip_hop_samples", 0);
    student.temperature = number(metadata, allocator, "temperature", 1);
    student.shortest = number(metadata, allocator, "shortest_seconds", 0);
    student.threshold = number(metadata, allocator, "ood_threshold", -INFINITY);
    student.ood_reason = look_up(metadata, allocator, "ood_reason");
    student.temperatures = look_up(metadata, allocator, "temperatures");
    const char *padding = look_up(metadata, allocator, "padding");
    student.repeats = padding != NULL && strcmp(padding, "repeat") == 0;
    if (student.rate <= 0 || student.clip == 0 || student.hop == 0) fail("a damaged network");
    return student;
}

static uint32_t little_endian(const unsigned char *bytes, int count) {
    uint32_t value = 0;
    while (count-- > 0) value = value << 8 | bytes[count];
    return value;
}

/* Read a WAV of 16 bits; return what is wrong with it, NULL if nothing is. */
static const char *read_wav(const char *path, Sound *sound) {
    static char words[200];
    static const char *expected = "a WAV of 16 bits is expected";
    unsigned char head[12], chunk[8], format[16];
    bool has_format = false;
    FILE *file = fopen(path, "rb");
    if (file == NULL) return "it cannot be opened";
    if (fread(head, 1, 12, file) != 12 || memcmp(head, "RIFF", 4) || memcmp(head + 8, "WAVE", 4)) {
        fclose(file);
        return expected;
    }
    while (fread(chunk, 1, 8, file) == 8) {
        uint32_t size = little_endian(chunk + 4, 4);
        if (memcmp(chunk, "fmt ", 4) == 0 && size >= 16 && fread(format, 1, 16, file) == 16) {
            has_format = true;
            size -= 16;
        } else if (memcmp(chunk, "data", 4) == 0 && has_format) {
            uint32_t kind = little_endian(format, 2); /* 0xfffe: PCM with many channels, mostly */
            if ((kind != 1 && kind != 0xfffe) || little_endian(format + 14, 2) != 16) break;
            sound->channels = little_endian(format + 2, 2);
            sound->rate = (long)little_endian(format + 4, 4);
            if (sound->channels < 1 || sound->channels > MAX_CHANNELS) {
                fclose(file);
                snprintf(words, sizeof words,
                         "the recording has %zu channels; at most %d are accepted",
                         sound->channels, MAX_CHANNELS);
                return words;
            }
            if (sound->rate < MIN_SAMPLE_RATE || sound->rate > MAX_SAMPLE_RATE) {
                fclose(file);
                snprintf(words, sizeof words,
                         "the recording has a sample rate of %ld Hz; %d to %d Hz are accepted",
                         sound->rate, MIN_SAMPLE_RATE, MAX_SAMPLE_RATE);
                return words;
            }
            /* A header may promise more than the file holds. */
            long here = ftell(file);
            fseek(file, 0, SEEK_END);
            size_t rest = (size_t)(ftell(file) - here);
            fseek(file, here, SEEK_SET);
            size_t bytes = size < rest ? size : rest;
            sound->frames = bytes / (2 * sound->channels);
            if (sound->frames == 0) {
                fclose(file);
                return "the recording is empty";
            }
            size_t values = sound->frames * sound->channels;
            unsigned char *data = allocate(values, 2);
            sound->samples = allocate(values, sizeof(float));
            values = fread(data, 2, values, file);
            for (size_t i = 0; i < values; i++) {
                sound->samples[i] = (int16_t)little_endian(data + 2 * i, 2) / 32768.0f;
            }
            free(data);
            fclose(file);
            return NULL;
        }
        fseek(file, (long)size + size % 2, SEEK_CUR);
    }
    fclose(file);
    return expected;
}

/* Return the variance of values that lie `step` apart. */
static double variance(const float *values, size_t count, size_t step) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
        sum += values[i * step];
        squares += (double)values[i * step] * values[i * step];
    }
    return fmax(squares / count - sum / count * (sum / count), 0);
}

/* Mix channels: their mean, or the loudest where they cancel each other. */
static float *to_mono(const Sound *sound) {
    size_t channels = sound->channels;
    float *mono = allocate(sound->frames, sizeof(float));
    for (size_t i = 0; i < sound->frames; i++) {
        float sum = 0;
        for (size_t c = 0; c < channels; c++) sum += sound->samples[i * channels + c];
        mono[i] = sum / channels;
    }
    for (size_t start = 0; channels > 1 && start < sound->frames; start += PIECE) {
        size_t count = sound->frames - start < PIECE ? sound->frames - start : PIECE;
        const float *piece = sound->samples + start * channels;
        double total = 0, most = -1, mixed = variance(mono + start, count, 1);
        size_t loudest = 0;
        for (size_t c = 0; c < channels; c++) {
            double power = variance(piece + c, count, channels);
            total += power;
            if (power > most) most = power, loudest = c;
        }
        double faint = SILENCE * SILENCE / 2;
        if ((mixed < faint && faint <= most) || mixed * channels < CANCELLED * total / channels) {
            for (size_t i = 0; i < count; i++) mono[start + i] = piece[i * channels + loudest];
        }
    }
    return mono;
}

/* Return whether nothing can be heard; a constant level is no sound. */
static bool is_silent(const float *samples, size_t count) {
    float low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        low = fminf(low, samples[i]);
        high = fmaxf(high, samples[i]);
    }
    return (high - low) / 2 < SILENCE;
}

/* Return whether an eighth of a clip or more, but not all of it, is silent. */
static bool is_partly_silent(const float *clip, size_t count) {
    if (is_silent(clip, count)) return false;
    for (size_t part = 0; part < PARTS; part++) {
        size_t start = part * count / PARTS, end = (part + 1) * count / PARTS;
        if (is_silent(clip + start, end - start)) return true;
    }
    return false;
}

/* Return the modified Bessel function of order 0, by its power series. */
static double bessel(double x) {
    double sum = 1, term = 1;
    for (int k = 1; term > 1e-12 * sum; k++) {
        term *= x / (2 * k) * (x / (2 * k));
        sum += term;
    }
    return sum;
}

/* Resample by a sinc under a Kaiser window, with a filter for each place between samples. */
static float *resample(const float *samples, size_t *count, long old_rate, long new_rate) {
    long a = old_rate, b = new_rate;
    while (b != 0) {
        long rest = a % b;
        a = b;
        b = rest;
    }
    uint64_t up = (uint64_t)(new_rate / a), down = (uint64_t)(old_rate / a);
    double cutoff = ROLL_OFF * fmin(1, (double)new_rate / old_rate);
    long half = (long)ceil(ZERO_CROSSINGS / cutoff), size = (long)*count;
    size_t outputs = (size_t)(*count * up / down);
    if (outputs == 0) outputs = 1;
    float *resampled = allocate(outputs, sizeof(float));
    double *kernel = allocate((size_t)(2 * half + 1), sizeof(double));
    for (uint64_t phase = 0; phase < up && phase < outputs; phase++) {
        double fraction = (double)(phase * down % up) / up, total = 0;
        for (long tap = -half; tap <= half; tap++) {
            double distance = fraction - tap, place = distance / (half + 1);
            double angle = PI * cutoff * distance;
            double weight = angle == 0 ? 1 : sin(angle) / angle;
            weight *= bessel(BETA * sqrt(fmax(1 - place * place, 0)));
            kernel[tap + half] = weight;
            total += weight;
        }
        for (uint64_t i = phase; i < outputs; i += up) {
            long centre = (long)(i * down / up);
            double sum = 0;
            for (long tap = -half; tap <= half; tap++) {
                long place = centre + tap;
                if (place >= 0 && place < size) sum += kernel[tap + half] * samples[place];
            }
            resampled[i] = (float)(sum / total);
        }
    }
    free(kernel);
    *count = outputs;
    return resampled;
}

/* Return the temperature for a recording: between those measured, linear over the logarithm. */
static double temperature_of(const Student *student, double seconds) {
    if (student->temperatures == NULL) return student->temperature;
    double low = 0, cold = 0, whole = (double)student->clip / student->rate;
    const char *line = student->temperatures;
    for (bool first = true;; first = false) {
        double high = whole, warm = student->temperature;
        int length = 0;
        bool is_last = sscanf(line, "%lf %lf %n", &high, &warm, &length) != 2;
        if (is_last) high = whole, warm = student->temperature;
        if (seconds <= high) {
            if (first) return warm;
            return cold + log(seconds / low) / log(high / low) * (warm - cold);
        }
        if (is_last) return warm;
        low = high, cold = warm;
        line += length;
    }
}

/* Run the network on a clip; `outputs` are the labels' logits and, behind them, an OOD score. */
static void infer(const Student *student, float *clip, float *outputs, size_t count) {
    const char *inputs[] = {"waveform"}, *names[] = {"logits"};
    int64_t shape[] = {1, (int64_t)student->clip};
    OrtMemoryInfo *memory;
    OrtValue *waveform = NULL, *logits = NULL;
    float *values;
    check(ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
    check(ort->CreateTensorWithDataAsOrtValue(memory, clip, student->clip * sizeof(float), shape, 2,
                                              ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &waveform));
    check(ort->Run(student->session, NULL, inputs, (const OrtValue *const *)&waveform, 1, names, 1,
                   &logits));
    check(ort->GetTensorMutableData(logits, (void **)&values));
    memcpy(outputs, values, count * sizeof(float));
    ort->ReleaseValue(logits);
    ort->ReleaseValue(waveform);
    ort->ReleaseMemoryInfo(memory);
}

/* Classify a recording; print its label, or why it has none. */
static void classify(const Student *student, const char *name, const Sound *sound) {
    double seconds = (double)sound->frames / sound->rate;
    size_t count = sound->frames;
    float *mono = to_mono(sound), *samples = mono;
    bool is_flat = is_silent(mono, count);
    if (sound->rate != student->rate) {
        samples = resample(mono, &count, sound->rate, student->rate);
        free(mono);
    }
    float *clip = allocate(student->clip, sizeof(float));
    double sums[2][MAX_LABELS] = {{0}}; /* of clips with a label, and of those without */
    size_t of_sums[2] = {0};
    /* Of the clips that can be heard: those with silence in them count only where all have it. */
    size_t counted[2] = {0}, rejected[2] = {0};
    const char *reasons[2] = {NULL, NULL};
    double temperature = temperature_of(student, seconds);
    bool has_score = student->ood_reason != NULL;
    for (size_t start = 0;;) {
        size_t held = count - start < student->clip ? count - start : student->clip;
        for (size_t i = 0; i < student->clip; i++) {
            clip[i] = i < held ? samples[start + i] : student->repeats ? samples[i % held] : 0;
        }
        float outputs[MAX_LABELS + 1];
        infer(student, clip, outputs, student->count + has_score);
        double largest = -INFINITY, total = 0, powers[MAX_LABELS];
        for (size_t i = 0; i < student->count; i++) largest = fmax(largest, outputs[i]);
        for (size_t i = 0; i < student->count; i++) {
            total += powers[i] = exp((outputs[i] - largest) / temperature);
        }
        bool silent = is_flat || is_silent(clip, student->clip);
        const char *reason = silent                                     ? "silent"
                             : seconds < student->shortest              ? "too_short"
                             : has_score && outputs[student->count] < student->threshold
                                 ? student->ood_reason
                                 : NULL;
        int row = reason != NULL;
        of_sums[row]++;
        for (size_t i = 0; i < student->count; i++) sums[row][i] += powers[i] / total;
        if (!silent) {
            int kind = is_partly_silent(clip, student->clip);
            counted[kind]++;
            rejected[kind] += reason != NULL;
            if (reason != NULL && reasons[kind] == NULL) reasons[kind] = reason;
        }
        size_t end = start + student->clip;
        if (end >= count) break;
        if (start + student->hop + student->clip <= count) {
            start += student->hop;
        } else if (count - end >= student->clip * MIN_TAIL) {
            start = count - student->clip;
        } else {
            break;
        }
    }
    int kind = counted[0] == 0;
    const char *reason = counted[kind] == 0                     ? "silent"
                         : 2 * rejected[kind] > counted[kind] ? reasons[kind]
                                                              : NULL;
    int row = of_sums[0] == 0;
    size_t best = 0;
    for (size_t i = 1; i < student->count; i++) {
        if (sums[row][i] > sums[row][best]) best = i;
    }
    if (reason != NULL) {
        printf("%s\t(%s)\n", name, reason);
    } else {
        printf("%s\t%s\t%.4f\n", name, student->labels[best], sums[row][best] / of_sums[row]);
    }
    free(clip);
    free(samples);
}

int main(int argc, char **argv) {
    if (argc < 3) fail("usage: earshot_edge model.onnx recording.wav [...]");
    ort = OrtGetApiBase()->GetApi(ORT_API_VERSION);
    if (ort == NULL) fail("the library of ONNX Runtime is older than its header");
    Student student = load(argv[1]);
    int failed = 0;
    for (int i = 2; i < argc; i++) {
        Sound sound = {0};
        const char *wrong = read_wav(argv[i], &sound);
        if (wrong == NULL) {
            classify(&student, argv[i], &sound);
        } else {
            fprintf(stderr, "%s: %s\n", argv[i], wrong);
            failed = 1;
        }
        free(sound.samples);
    }
    ort->ReleaseSession(student.session);
    return failed;
}
