"""Front ends as modules: what `torch.stft` and resampling do, in operators that any runtime has."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.transforms import Resample


class Resampler(nn.Module):
    """Resamples `[batch, samples]` as `torchaudio.transforms.Resample` does."""

    kernel: Tensor

    def __init__(self, sample_rate: int, target_rate: int) -> None:
        """Make the filters; rates in Hz."""
        super().__init__()
        transform = Resample(sample_rate, target_rate, lowpass_filter_width=16)
        divisor = math.gcd(sample_rate, target_rate)
        self._step, self._phases = sample_rate // divisor, target_rate // divisor
        self._width = transform.width
        self.register_buffer("kernel", transform.kernel)

    def forward(self, samples: Tensor) -> Tensor:
        """Return the samples at the target rate."""
        padded = functional.pad(samples, (self._width, self._width + self._step))
        phases = functional.conv1d(padded[:, None], self.kernel, stride=self._step)
        length = -(-samples.shape[1] * self._phases // self._step)
        return phases.transpose(1, 2).flatten(1)[:, :length]


class PowerSpectrum(nn.Module):
    """The power spectra of windowed frames, `[batch, samples]` to `[batch, frames, bins]`.

    The Fourier transform is done in two steps (Cooley and Tukey, 1965): its tables are a
    hundredth of one for all of it. Frames begin with the first sample.
    """

    window: Tensor
    row_table: Tensor
    twiddle: Tensor
    column_table: Tensor

    def __init__(self, window: Tensor, hop_length: int, n_fft: int) -> None:
        """Make the tables.

        Args:
            window: shape `[win_length]`.
            hop_length: samples between frames.
            n_fft: of the transform; shorter frames are followed by zeros.
        """
        super().__init__()
        self.register_buffer("window", window.float())
        self._hop_length, self._n_fft = hop_length, n_fft
        self._rows = next(d for d in range(math.isqrt(n_fft), 0, -1) if n_fft % d == 0)
        self._columns = n_fft // self._rows
        kept = self._columns // 2 + 1
        rows, columns = torch.arange(self._rows), torch.arange(self._columns)
        angles = rows[:, None] * rows * (2 * math.pi / self._rows)
        self.register_buffer("row_table", _circle(angles))
        self.register_buffer("twiddle", _circle(rows[:, None] * columns * (2 * math.pi / n_fft)))
        angles = columns[:, None] * torch.arange(kept) * (2 * math.pi / self._columns)
        self.register_buffer("column_table", _circle(angles))

    def frame_count(self, samples: int) -> int:
        """Return how many frames fit into so many samples."""
        return 1 + (samples - self.window.numel()) // self._hop_length

    def forward(self, samples: Tensor) -> Tensor:
        """Return the power of each bin, `[batch, frames, n_fft // 2 + 1]`."""
        frames = functional.pad(
            self._frames(samples) * self.window, (0, self._n_fft - self.window.numel())
        )
        # x[columns * r + c] -> X[k + rows * l]
        folded = frames.reshape(*frames.shape[:2], self._rows, self._columns)
        cos, sin = self.row_table
        real, imaginary = cos @ folded, -(sin @ folded)
        cos, sin = self.twiddle
        real, imaginary = real * cos + imaginary * sin, imaginary * cos - real * sin
        cos, sin = self.column_table
        real, imaginary = real @ cos + imaginary @ sin, imaginary @ cos - real @ sin
        power: Tensor = real.square() + imaginary.square()
        return power.transpose(2, 3).flatten(2)[:, :, : self._n_fft // 2 + 1]

    def _frames(self, samples: Tensor) -> Tensor:
        """Return the frames `[batch, frames, win_length]`, of chunks that make up both steps."""
        length = self.window.numel()
        count = self.frame_count(samples.shape[1])
        chunk = math.gcd(length, self._hop_length)
        needed = (self._hop_length * (count - 1) + length) // chunk
        chunks = samples[:, : needed * chunk].reshape(-1, needed, chunk)
        step = self._hop_length // chunk
        pieces = [
            chunks[:, first : first + step * (count - 1) + 1 : step]
            for first in range(length // chunk)
        ]
        return torch.cat(pieces, dim=2)


def _circle(angles: Tensor) -> Tensor:
    """Return cosine and sine, computed in 64 bits."""
    return torch.stack([angles.double().cos(), angles.double().sin()]).float()
