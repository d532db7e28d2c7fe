// Whether a difference between two classifiers is more than noise, for every way of scoring them on the same images.

internal import Glibc

package enum PairedTests {
    /// What a test on differences says.
    package struct Result: Sendable {
        package let mean: Double
        /// Student's t; not a number for fewer than two differences.
        package let statistic: Double
        package let pValue: Double
        /// Of the mean, 95 %.
        package let interval: ClosedRange<Double>
    }

    /// McNemar's exact test: two-sided p of a fair coin over the images on which only one of two is right. statsmodels'
    /// `mcnemar(exact=True)`.
    package static func mcNemar(onlyFirst: Int, onlySecond: Int) -> Double {
        let count = onlyFirst + onlySecond
        return count == 0 ? 1 : min(1, 2 * Distributions.fairBinomial(atMost: min(onlyFirst, onlySecond), of: count))
    }

    /// The corrected resampled t-test over divisions of the same images, whose training sets overlap (Nadeau and Bengio
    /// 2003): the variance of the mean is s² (1/k + test/train).
    ///
    /// - Parameters:
    ///   - differences: One a division.
    ///   - testShare: Test images over training images.
    ///   - least: A variance that the scores of a division have at least, as its images are a sample: few divisions may
    ///     agree by chance.
    package static func correctedResampled(_ differences: [Double], testShare: Double, least: Double = 0) -> Result {
        test(differences, factor: 1 / Double(max(differences.count, 1)) + testShare, least: least)
    }

    /// Student's t-test on paired differences: SciPy's `ttest_rel`.
    package static func paired(_ differences: [Double]) -> Result {
        test(differences, factor: 1 / Double(max(differences.count, 1)))
    }

    /// - Parameters:
    ///   - factor: Of the differences' variance, which makes it the mean's.
    ///   - least: Below this their variance is not believed.
    private static func test(_ differences: [Double], factor: Double, least: Double = 0) -> Result {
        let count = differences.count
        let mean = count == 0 ? .nan : differences.reduce(0, +) / Double(count)
        guard count >= 2 else {
            return Result(mean: mean, statistic: .nan, pValue: .nan, interval: -Double.infinity...Double.infinity)
        }
        let variance = max(least, differences.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count - 1))
        let error = (variance * factor).squareRoot()
        guard error > 0 else {
            return Result(
                mean: mean, statistic: mean == 0 ? 0 : mean > 0 ? .infinity : -.infinity, pValue: mean == 0 ? 1 : 0,
                interval: mean...mean)
        }
        let degrees = Double(count - 1)
        let half = Distributions.studentQuantile(twoSided: 0.05, degrees: degrees) * error
        return Result(
            mean: mean, statistic: mean / error,
            pValue: Distributions.studentTwoSided(mean / error, degrees: degrees),
            interval: mean - half...mean + half)
    }

    /// p-values that allow for how many tests were made (Holm 1979): statsmodels' `multipletests(method='holm')`.
    package static func adjustedForNumber(_ pValues: [Double]) -> [Double] {
        var adjusted = pValues
        var largest = 0.0
        for (rank, index) in pValues.indices.sorted(by: { pValues[$0] < pValues[$1] }).enumerated() {
            largest = max(largest, min(1, pValues[index] * Double(pValues.count - rank)))
            adjusted[index] = largest
        }
        return adjusted
    }
}
