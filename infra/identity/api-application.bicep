// The application whose tokens callers of our HTTP interface bring (authentication = 'entra'),
// with the two roles that the interface knows. It never signs in itself, so it has no credential.
extension microsoftGraphV1

param name string

resource application 'Microsoft.Graph/applications@v1.0' = {
  uniqueName: name
  displayName: 'Mondoo Microsoft 365 onboarding API'
  signInAudience: 'AzureADMyOrg'
  api: {
    requestedAccessTokenVersion: 2
  }
  appRoles: [
    {
      id: guid(name, 'Operator')
      value: 'Operator'
      displayName: 'Operator'
      description: 'Start, change and remove; everything a Reader may'
      allowedMemberTypes: [
        'User'
        'Application'
      ]
      isEnabled: true
    }
    {
      id: guid(name, 'Reader')
      value: 'Reader'
      displayName: 'Reader'
      description: 'Look at tenants, operations and plans; change nothing'
      allowedMemberTypes: [
        'User'
        'Application'
      ]
      isEnabled: true
    }
  ]
}

resource principal 'Microsoft.Graph/servicePrincipals@v1.0' = {
  appId: application.appId
  // Nobody gets a token for the interface without one of the two roles.
  appRoleAssignmentRequired: true
}

output clientId string = application.appId
