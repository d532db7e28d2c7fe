// The search for the learning rate of a training, on its own images.

internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneEvaluation
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetunePipeline

extension FineTuning {
    /// The learning rate that the settings name, or one that trial steps find.
    ///
    /// - Throws: `TrainingError` of kind `stopped` if the program was asked to end: a search that was stopped begins again.
    mutating func findRate(_ session: TrainingSession) async throws -> Double {
        if let rate = steps.learningRate { return rate }
        let start = await session.program.state
        let order = shuffled(Self.searchedOrder)
        let isLive = session.plan.rows.contains { $0.normalization == .train }
        let count = isLive ? session.batch : min(session.batch, max(1, order.count / 2))
        let (stepped, rest) = (Array(order.prefix(count)), Array(order.dropFirst(count)))
        let others = validation.isEmpty ? rest : validation
        // More would cost too much beside the training itself.
        let most = min(Self.mostProbeImages, max(Self.fewestProbeImages, order.count / 16))
        let stride = max(1, (others.count + most - 1) / most)
        let spread = others.indices.filter { $0 % stride == 0 }.map { others[$0] }
        let probe = spread.isEmpty ? stepped : spread
        let reader = BatchReader(session, dataset, settings)
        let result = try await session.evaluate(
            try await reader.read(stepped, session.view(epoch: 0)), dropoutKey: settings.seed)
        try checkBase(result.loss, stepped)
        // Statistics of live batch norms moved with that batch; every trial begins with those of the start.
        await session.program.restore(start)
        var search = RateSearch(
            for: steps.optimizer, start: try await session.evaluate(session.program.weights(), on: probe).logLoss,
            classes: dataset.classes.count)
        while let rate = search.next {
            if context.shouldStop() {
                // A rate is found by all the steps of the search, or anew.
                await session.program.restore(start)
                try await stopIfAsked(session)
            }
            await session.program.restore(start)
            await session.program.update(rate: rate, clip: steps.clip)
            let weights = await session.program.weights()
            let isFinite = weights.firstNotFinite == nil
            search.record(isFinite ? try await session.evaluate(weights, on: probe).logLoss : .infinity, after: rate)
            report(.share(stage: "learning rate", min(1, Double(search.trials.count) / 12)))
        }
        await session.program.restore(start)
        let rate = search.rate(restarts: progress.restarts)
        let text = search.sentence(restarts: progress.restarts)
        let details: [JSON.Member] = [
            .init("rate", .number(rate)), .init("start_loss", .number(search.start)),
            .init("rates", JSON(search.trials.map(\.rate))),
            .init("losses", .array(search.trials.map { $0.loss.isFinite ? .number($0.loss) : .null })),
        ]
        report(search.isInVain ? .warning(text) : .note(text, .object(details)))
        return rate
    }

    /// The number of an epoch that never comes, in whose order the images of the search are.
    private static let searchedOrder = 1_000_000
    /// Images that a trial step is judged by.
    private static let (fewestProbeImages, mostProbeImages) = (8, 32)
}
