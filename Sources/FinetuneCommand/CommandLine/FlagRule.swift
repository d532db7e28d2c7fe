// What a flag's value may be, and the one form of the message if it is something else.

internal import FinetuneDatasets
internal import FinetuneFiles

/// The values that one flag accepts.
struct FlagRule: Sendable {
    /// What to do about a value that is not accepted.
    enum Remedy: Sendable, ExpressibleByStringLiteral {
        /// The value that was probably meant.
        case value(String)
        /// A sentence.
        case sentence(String)

        init(stringLiteral value: String) { self = .value(value) }
    }

    /// The flag's names, the main one first.
    let names: [String]
    /// What is accepted, in words that complete "expected …".
    let accepted: String
    /// A value that is accepted.
    let example: String
    /// The accepted words, if there is a list of them.
    var choices: [String] = []
    /// Values of other programs, simplified as by `Spelling`, and what they are called here.
    var meanings: [String: Remedy] = [:]
    /// Finds what was meant by a value that `choices` and `meanings` do not explain.
    var repair: @Sendable (String) -> Remedy? = { _ in nil }
    /// Whether a percentage such as `20%` is a value, too.
    var takesPercentage = false
    /// Whether the flag may be given several times.
    var mayRepeat = false
    /// Whether a value is accepted.
    let isAccepted: @Sendable (String) -> Bool

    var name: String { names[0] }

    /// The value as commands read it: a percentage becomes a fraction.
    ///
    /// - Parameter name: The flag as it was written.
    /// - Throws: `UsageError` for a value that is not accepted.
    func read(_ value: String, after name: String) throws -> String {
        let plain = takesPercentage && FileSystem.kind(of: value) == nil ? Self.fraction(fromPercentageIn: value) : nil
        guard isAccepted(plain ?? value) else { throw refusal(of: value, after: name) }
        return plain ?? value
    }

    /// The error for a value that is not accepted: the flag and the value, what was expected, and what to do.
    ///
    /// - Parameter accepted: What was expected; nil for the rule's own words.
    func refusal(of value: String, after name: String, expected accepted: String? = nil) -> UsageError {
        let next =
            switch remedy(for: value) {
            case .value(let meant): "Did you mean \(name) \(meant)?"
            case .sentence(let sentence): sentence
            case nil: "For example: \(name) \(example)"
            }
        return UsageError(
            description: "cannot use '\(name) \(value)': expected \(accepted ?? self.accepted). \(next)")
    }

    /// The error for a flag without a value.
    ///
    /// - Parameter next: The word that follows the flag, which is another flag, or looks like one; nil at the end.
    func refusalOfNothing(after name: String, before next: String?) -> UsageError {
        let hint = next.map { " If '\($0)' is the value, write \(name)=\($0)." } ?? ""
        return UsageError(
            description:
                "cannot use '\(name)' without a value: expected \(accepted).\(hint) For example: \(name) \(example)")
    }

    /// What was probably meant by a value; a value that is suggested is accepted, and another one.
    private func remedy(for value: String) -> Remedy? {
        if let meaning = meanings[Spelling.simplified(value)] { return meaning }
        switch repair(value) {
        case .value(let meant): return isAccepted(meant) && meant != value ? .value(meant) : nil
        case .sentence(let sentence): return .sentence(sentence)
        case nil: return Spelling.nearest(to: value, among: choices).map { .value($0) }
        }
    }

    /// A percentage as a fraction, without the digits that a division by 100 adds to 99.9.
    fileprivate static func hundredth(of percentage: Double) -> String { "\((percentage * 1e10).rounded() / 1e12)" }

    /// The text with the percentage at its end as a fraction: `0.2` for `20%`, `accuracy=0.9` for `accuracy=90 %`.
    private static func fraction(fromPercentageIn text: String) -> String? {
        guard text.last == "%" else { return nil }
        var head = text.dropLast()
        while head.last == " " { head.removeLast() }
        let digits = String(
            head.reversed().prefix { $0.isASCII && ($0.isNumber || $0 == "." || $0 == "-") }.reversed())
        guard let number = Double(digits) else { return nil }
        return head.dropLast(digits.count) + hundredth(of: number)
    }
}

// MARK: - Kinds of values

extension FlagRule {
    /// One of a list of words.
    static func choice(
        _ names: String..., of choices: [String], example: String, _ meanings: [String: Remedy] = [:]
    ) -> FlagRule {
        FlagRule(
            names: names, accepted: choices.alternatives, example: example, choices: choices, meanings: meanings
        ) { choices.contains($0) }
    }

    /// A whole number.
    ///
    /// - Parameter unit: What is counted, such as `pixels`; empty for a plain number.
    static func whole(
        _ names: String..., in range: ClosedRange<Int>, of unit: String = "", example: String,
        _ meanings: [String: Remedy] = [:]
    ) -> FlagRule {
        FlagRule(
            names: names,
            accepted:
                "a whole number\(unit.isEmpty ? "" : " of \(unit)") from \(range.lowerBound) to \(range.upperBound)",
            example: example, meanings: meanings, repair: { leadingNumber($0).map { .value($0) } }
        ) { Int($0).map(range.contains) ?? false }
    }

    /// A number.
    static func number(
        _ names: String..., accepted: String, example: String, _ meanings: [String: Remedy] = [:],
        where isRight: @escaping @Sendable (Double) -> Bool
    ) -> FlagRule {
        FlagRule(names: names, accepted: accepted, example: example, meanings: meanings, repair: decimal) {
            Double($0).map { $0.isFinite && isRight($0) } ?? false
        }
    }

    /// A fraction, which a percentage says as well.
    ///
    /// - Parameters:
    ///   - includesOne: Whether 1 is accepted.
    ///   - least: The smallest number that was probably meant as a percentage.
    static func fraction(
        _ names: String..., includesOne: Bool = false, example: String, percentagesFrom least: Double = 2
    ) -> FlagRule {
        FlagRule(
            names: names,
            accepted: includesOne
                ? "a fraction from 0 to 1, or a percentage"
                : "a fraction from 0 to below 1, or a percentage below 100%",
            example: example, repair: { partOfOne($0, percentagesFrom: least).map { .value($0) } },
            takesPercentage: true
        ) {
            guard let value = Double($0) else { return false }
            return value >= 0 && (includesOne ? value <= 1 : value < 1)
        }
    }

    /// A path or a name, which is looked up later.
    static func text(_ names: String..., accepted: String, example: String) -> FlagRule {
        FlagRule(names: names, accepted: accepted, example: example) { !$0.isEmpty }
    }

    // MARK: Repairs

    /// The number at the beginning of a value such as `224x224`, `32px` or `10.0`; the length of a list such as `1,2,3`.
    private static func leadingNumber(_ value: String) -> String? {
        let digits = value.drop { "([ ".contains($0) }.prefix { $0.isASCII && $0.isNumber }
        return digits.isEmpty || digits.count == value.count ? nil : String(digits)
    }

    /// A number with a point in place of a comma.
    static func decimal(_ value: String) -> Remedy? {
        let repaired = value.replacing(",", with: ".")
        return repaired != value && Double(repaired) != nil ? .value(repaired) : nil
    }

    /// A percentage without its sign, or a fraction with a comma, as a fraction: `0.2` for `20` and for `0,2`.
    ///
    /// - Parameter least: The smallest number that was probably meant as a percentage.
    static func partOfOne(_ value: String, percentagesFrom least: Double = 2) -> String? {
        let text = value.replacing(",", with: ".")
        guard let number = Double(text) else { return nil }
        if number >= least, number <= 100 { return hundredth(of: number) }
        return text == value ? nil : text
    }
}

extension [String] {
    /// The words as a list of alternatives: `a, b or c`.
    var alternatives: String {
        guard let last, count > 1 else { return joined() }
        return dropLast().joined(separator: ", ") + " or " + last
    }
}
