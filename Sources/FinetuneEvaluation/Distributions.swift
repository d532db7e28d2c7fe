// The few distributions that tests need (Abramowitz and Stegun 1964; continued fraction by Lentz's method).

internal import Glibc

package enum Distributions {
    /// The regularized incomplete beta function I_x(a, b): SciPy's `betainc`.
    ///
    /// - Parameter x: 0…1.
    static func incompleteBeta(_ a: Double, _ b: Double, _ x: Double) -> Double {
        guard x > 0 else { return 0 }
        guard x < 1 else { return 1 }
        // The fraction converges fast on one side of the mean; symmetry gives the other.
        guard x <= (a + 1) / (a + b + 2) else { return 1 - incompleteBeta(b, a, 1 - x) }
        let front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a
        let tiny = 1e-300
        var (c, d) = (1.0, 1 - (a + b) * x / (a + 1))
        d = 1 / (abs(d) < tiny ? tiny : d)
        var fraction = d
        for m in 1...1000 {
            let m = Double(m)
            let even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
            let odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
            var change = 1.0
            for term in [even, odd] {
                d = 1 + term * d
                c = 1 + term / c
                d = 1 / (abs(d) < tiny ? tiny : d)
                c = abs(c) < tiny ? tiny : c
                change = c * d
                fraction *= change
            }
            if abs(change - 1) < 1e-15 { break }
        }
        return front * fraction
    }

    /// The probability of a t at least as far from 0, both sides: SciPy's `2 * t.sf(abs(t), degrees)`.
    package static func studentTwoSided(_ t: Double, degrees: Double) -> Double {
        guard t.isFinite else { return t.isNaN ? .nan : 0 }
        return incompleteBeta(degrees / 2, 0.5, degrees / (degrees + t * t))
    }

    /// The t that is exceeded on both sides together with a probability: SciPy's `t.ppf(1 - p / 2, degrees)`.
    package static func studentQuantile(twoSided p: Double, degrees: Double) -> Double {
        var (low, high) = (0.0, 1.0)
        while studentTwoSided(high, degrees: degrees) > p, high < 1e12 { high *= 2 }
        for _ in 0..<200 where high - low > 1e-13 * high {
            let middle = (low + high) / 2
            if studentTwoSided(middle, degrees: degrees) > p { low = middle } else { high = middle }
        }
        return (low + high) / 2
    }

    /// The probability of at most `k` heads in `n` throws of a fair coin: SciPy's `binom.cdf(k, n, 0.5)`.
    static func fairBinomial(atMost k: Int, of n: Int) -> Double {
        guard k >= 0 else { return 0 }
        guard k < n else { return 1 }
        return incompleteBeta(Double(n - k), Double(k + 1), 0.5)
    }
}
