"""The log-mel spectrogram of `app.audio` as an ONNX graph, which holds none of its tables.

A table of the Fourier transform is larger than a student: 1024 samples to 513 frequencies are a
million numbers. So the transform is done in two steps (Cooley and Tukey, 1965), by tables of 32
by 32, and those, the window and the mel filters are computed by nodes without inputs, which a
runtime folds into constants when it loads the graph. Only operators that every runtime has are
used: ONNX's own `STFT` and `MelWeightMatrix` are neither everywhere nor Slaney's mel scale.
"""

import math

import numpy as np
import onnx

from app.audio.log_mel import SMALLEST_SPREAD_DB, LogMelConfig
from app.audio.mel import mel_band_edges
from app.audio.stft import CONSTANT_TERM

WAVEFORM, SPECTROGRAM = "waveform", "spectrogram"


def front_end(config: LogMelConfig, opset: int, ir_version: int) -> onnx.ModelProto:
    """Return the graph that maps `WAVEFORM` `[batch, samples]` to what `log_mel` returns.

    Args:
        config: of the spectrogram.
        opset: version of the operators, 18 or later.
        ir_version: of the file's format.

    Returns:
        a graph whose output is `SPECTROGRAM`, `[batch, 1, n_mels, frames]`.
    """
    samples, n_fft, mels, frames = (
        *(config.clip_samples, config.n_fft),
        *(config.n_mels, config.frames),
    )
    # Frames are gathered in chunks that both the hop and the window are multiples of.
    chunk = math.gcd(n_fft, config.hop_length)
    behind = n_fft // 2 + -(samples + n_fft) % chunk
    rows = _divisor_near_root(n_fft)
    columns = n_fft // rows
    kept = n_fft // 2 // rows + 1
    a0 = CONSTANT_TERM[config.window]
    normalised = """
            mean = ReduceMean (limited, clip_axes)
            centred = Sub (limited, mean)
            squares = Mul (centred, centred)
            variance = ReduceMean (squares, clip_axes)
            deviation = Sqrt (variance)
            spread = Max (deviation, smallest_spread)
            spectrogram = Div (centred, spread)"""
    plain = """
            spectrogram = Identity (limited)"""
    text = f"""
        <ir_version: {ir_version}, opset_import: ["" : {opset}]>
        front_end (float[batch, {samples}] waveform)
            => (float[batch, 1, {mels}, {frames}] spectrogram)
        <
            int64 zero = {{0}}, int64 one = {{1}},
            int64[4] pads = {{0, {n_fft // 2}, 0, {behind}}},
            int64[3] chunks_shape = {{0, -1, {chunk}}},
            int64 frames = {{{frames}}}, int64 hop = {{{config.hop_length // chunk}}},
            int64 per_frame = {{{n_fft // chunk}}},
            int64[4] columns_shape = {{0, {frames}, {rows}, {columns}}},
            int64[3] bins_shape = {{0, {frames}, {rows * kept}}},
            int64[4] image_shape = {{0, 1, {mels}, {frames}}},
            int64 rows = {{{rows}}}, int64 columns = {{{columns}}}, int64 kept = {{{kept}}},
            int64 n_fft = {{{n_fft}}},
            int64[1] axis_1 = {{1}},
            int64[3] clip_axes = {{1, 2, 3}}, int64[2] halves = {{{rows}, {rows}}},
            int64[2] parts = {{{kept}, {kept}}}, int64[1] flat = {{-1}},
            float row_step = {{{_f(2 * math.pi / rows)}}},
            float column_step = {{{_f(2 * math.pi / columns)}}},
            float step = {{{_f(2 * math.pi / n_fft)}}},
            float a0 = {{{_f(a0)}}}, float a1 = {{{_f(1 - a0)}}},
            float bin_hz = {{{_f(config.sample_rate / n_fft)}}}, float nothing = {{0.0}},
            float two = {{2.0}},
            float[{mels + 2}] edges = {{{_edges(config)}}},
            int64[1] first = {{0}}, int64[1] second = {{1}}, int64[1] third = {{2}},
            int64[1] to_lower = {{{mels}}}, int64[1] to_centre = {{{mels + 1}}},
            int64[1] to_upper = {{{mels + 2}}},
            float amin = {{{_f(config.amin)}}}, float decibels = {{{_f(10 / math.log(10))}}},
            float top_db = {{{_f(config.top_db)}}},
            float smallest_spread = {{{_f(SMALLEST_SPREAD_DB)}}}
        >
        {{
            row = Range (zero, rows, one)
            column = Range (zero, columns, one)
            part = Range (zero, kept, one)
            row_down = Unsqueeze (row, axis_1)
            column_down = Unsqueeze (column, axis_1)
            {_angles("row", "row_down", "row", "rows", "row_step")}
            row_table = Concat <axis = 0> (row_cos, row_sin)
            {_angles("twiddle", "row_down", "column", "n_fft", "step")}
            {_angles("column", "column_down", "part", "columns", "column_step")}
            minus_sin = Neg (column_sin)
            of_real = Concat <axis = 1> (column_cos, column_sin)
            of_imaginary = Concat <axis = 1> (minus_sin, column_cos)
            column_table = Concat <axis = 0> (of_real, of_imaginary)

            sample = Range (zero, n_fft, one)
            sample_real = Cast <to = 1> (sample)
            phase = Mul (sample_real, step)
            wave = Cos (phase)
            scaled_wave = Mul (wave, a1)
            window = Sub (a0, scaled_wave)

            part_bins = Mul (part, rows)
            bin_grid = Add (row_down, part_bins)
            bin_list = Reshape (bin_grid, flat)
            bin_numbers = Cast <to = 1> (bin_list)
            bin_frequencies = Mul (bin_numbers, bin_hz)
            hz = Unsqueeze (bin_frequencies, axis_1)
            lower = Slice (edges, first, to_lower)
            centre = Slice (edges, second, to_centre)
            upper = Slice (edges, third, to_upper)
            above = Sub (hz, lower)
            rise = Sub (centre, lower)
            rising = Div (above, rise)
            below = Sub (upper, hz)
            fall = Sub (upper, centre)
            falling = Div (below, fall)
            triangle = Min (rising, falling)
            positive = Max (triangle, nothing)
            width = Sub (upper, lower)
            height = Div (two, width)
            filters = Mul (positive, height)

            frame = Range (zero, frames, one)
            frame_start = Mul (frame, hop)
            start_down = Unsqueeze (frame_start, axis_1)
            offset = Range (zero, per_frame, one)
            chunk_numbers = Add (start_down, offset)

            padded = Pad (waveform, pads)
            chunks = Reshape (padded, chunks_shape)
            gathered = Gather <axis = 1> (chunks, chunk_numbers)
            frame_shape = Constant <value_ints = [0, {frames}, {n_fft}]> ()
            framed = Reshape (gathered, frame_shape)
            windowed = Mul (framed, window)
            folded = Reshape (windowed, columns_shape)
            by_rows = MatMul (row_table, folded)
            a, b = Split <axis = 2> (by_rows, halves)
            ac = Mul (a, twiddle_cos)
            bs = Mul (b, twiddle_sin)
            p = Sub (ac, bs)
            as = Mul (a, twiddle_sin)
            bc = Mul (b, twiddle_cos)
            q = Add (as, bc)
            pq = Concat <axis = 3> (p, q)
            spectrum = MatMul (pq, column_table)
            energies = Mul (spectrum, spectrum)
            real, imaginary = Split <axis = 3> (energies, parts)
            powers = Add (real, imaginary)
            bins = Reshape (powers, bins_shape)
            mel = MatMul (bins, filters)
            mel_first = Transpose <perm = [0, 2, 1]> (mel)
            image = Reshape (mel_first, image_shape)
            audible = Max (image, amin)
            logarithm = Log (audible)
            level = Mul (logarithm, decibels)
            loudest = ReduceMax (level, clip_axes)
            floor = Sub (loudest, top_db)
            limited = Max (level, floor){normalised if config.normalisation == "clip" else plain}
        }}
    """
    return onnx.parser.parse_model(text)


def _angles(name: str, down: str, across: str, period: str, step: str) -> str:
    """Return nodes that compute cosine and sine of `down * across` steps of a circle.

    Whole circles are left out first: the sine of a large float32 is coarse.
    """
    return f"""
            {name}_product = Mul ({down}, {across})
            {name}_index = Mod ({name}_product, {period})
            {name}_number = Cast <to = 1> ({name}_index)
            {name}_angle = Mul ({name}_number, {step})
            {name}_cos = Cos ({name}_angle)
            {name}_sin = Sin ({name}_angle)"""


def _edges(config: LogMelConfig) -> str:
    edges = mel_band_edges(config.n_mels, config.fmin, config.fmax)
    return ", ".join(_f(edge) for edge in edges)


def _f(number: float | np.floating) -> str:
    """Return a number as ONNX's text has it: with a point or an exponent."""
    return repr(float(number))


def _divisor_near_root(number: int) -> int:
    """Return the largest divisor of `number` that is not above its square root."""
    return next(d for d in range(math.isqrt(number), 0, -1) if number % d == 0)
