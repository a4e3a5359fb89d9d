// The saved queries, on one page of Azure Monitor.
param name string
param location string
param tags object
param insightsName string

var queries = [
  {
    title: 'Time of onboardings'
    text: loadTextContent('../queries/onboarding-time.kql')
  }
  {
    title: 'Failures by code'
    text: loadTextContent('../queries/failures-by-code.kql')
  }
  {
    title: 'Drift by tenant'
    text: loadTextContent('../queries/drift-by-tenant.kql')
  }
  {
    title: 'Days until certificates end'
    text: loadTextContent('../queries/days-to-expiry.kql')
  }
]

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

var items = [for (query, i) in queries: {
  type: 3
  name: 'query-${i}'
  content: {
    version: 'KqlItem/1.0'
    title: query.title
    query: query.text
    size: 0
    timeContext: {
      durationMs: 2592000000
    }
    queryType: 0
    resourceType: 'microsoft.insights/components'
  }
}]

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, name)
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Mondoo Microsoft 365 onboarding'
    category: 'workbook'
    sourceId: insights.id
    serializedData: string({
      version: 'Notebook/1.0'
      items: items
      fallbackResourceIds: [
        insights.id
      ]
    })
  }
}
